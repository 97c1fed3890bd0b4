package gateway

import (
	"strconv"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/allocator"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/authority"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/dnsupdate"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/host"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/proxy"
)

// Port is the TCP port of every gateway's listener; each has an address of its own.
const Port = 8443

// CertificateLife is how long a certificate is good. It is renewed when two thirds are over.
const CertificateLife = 24 * time.Hour

// The subsystems, and what they are asked and answer.
var (
	addresses    = setpoint.Endpoint[allocator.Request, allocator.Result]{Adapter: "allocator"}
	certificates = setpoint.Endpoint[authority.Request, authority.Result]{Adapter: "authority"}
	processes    = setpoint.Endpoint[host.Request, host.Result]{Adapter: "hosts"}
	configs      = setpoint.Endpoint[proxy.Request, proxy.Result]{Adapter: "proxies"}
	records      = setpoint.Endpoint[dnsupdate.Request, dnsupdate.Result]{Adapter: "dns", Unit: dnsupdate.Unit}
)

// Controllers are the drivers of the kinds.
func Controllers() []setpoint.Controller {
	return []setpoint.Controller{
		Gateways.Driver("gateway", driveGateway),
		Addresses.Driver("address", driveAddress),
		Certificates.Driver("certificate", driveCertificate),
		Instances.Driver("instance", driveInstance),
		ProxyConfigs.Driver("proxyconfig", driveProxyConfig),
		DNSRecords.Driver("dnsrecord", driveRecord),
	}
}

// driveGateway declares the parts that a gateway should have now. A part whose input is not known yet is held: neither made
// nor, if it is there already, removed.
func driveGateway(t *setpoint.Turn, g *Gateway) setpoint.Outcome {
	address := Addresses.Child(t, "ip", AddressSpec{Pool: "edge"})
	certificate := Certificates.Child(t, "tls", CertificateSpec{Hostname: g.Spec.Hostname})
	g.Status.Serving = 0
	for i := range g.Spec.Replicas {
		if replica(t, g, i, address, certificate) {
			g.Status.Serving++
		}
	}
	// The name is published when the first replica can answer to it, and stays while there is an address.
	if ip := address.Status.IP; ip != "" && (g.Status.Serving > 0 || g.Status.Address != "") {
		DNSRecords.Child(t, "dns", DNSRecordSpec{Name: g.Spec.Hostname, Addresses: []string{ip}}, setpoint.Needs("ip"))
		g.Status.Address, g.Status.URL = ip, "https://"+g.Spec.Hostname+":"+strconv.Itoa(Port)
	} else {
		DNSRecords.Hold(t, "dns")
	}
	outcome := t.Rollup()
	moveGateway(t, g, outcome)
	return outcome
}

// replica declares the i'th process and its configuration, and reports whether it serves the latest routes.
func replica(t *setpoint.Turn, g *Gateway, i int, address *Address, certificate *Certificate) bool {
	process, config := "i"+strconv.Itoa(i), "c"+strconv.Itoa(i)
	instance := Instances.Child(t, process, InstanceSpec{Image: "proxy"}, setpoint.Needs("ip"))
	if address.Status.IP == "" || certificate.Status.Serial == "" || instance.Status.Admin == "" {
		ProxyConfigs.Hold(t, config)
		return false
	}
	pushed := ProxyConfigs.Child(t, config, ProxyConfigSpec{
		Admin: instance.Status.Admin, Boot: instance.Status.Boot, Hostname: g.Spec.Hostname,
		Listen: []string{address.Status.IP + ":" + strconv.Itoa(Port)}, Routes: g.Spec.Routes,
		Certificate: certificate.Status.Serial,
	}, setpoint.Needs(process, "ip"))
	return pushed.Ready() && instance.Ready()
}

func moveGateway(t *setpoint.Turn, g *Gateway, outcome setpoint.Outcome) {
	switch {
	case g.Deleting():
	case outcome.AtRest():
		t.Transition(Active, "Serving")
	case outcome.Terminal() && g.State != Active:
		t.Transition(Failed, "PartFailed")
	case g.State == Active:
		t.Transition(Degraded, "PartNotReady")
	case g.State == Failed:
		t.Transition(Provisioning, "Retrying")
	}
}

func driveAddress(t *setpoint.Turn, a *Address) setpoint.Outcome {
	grant := addresses.Ensure(t, t.NaturalKey(), &allocator.Request{Pool: a.Spec.Pool})
	if grant.Done() {
		a.Status.IP = grant.Result.Address
	}
	return grant.Outcome()
}

// driveCertificate asks for the next certificate when two thirds of the life of this one are over.
func driveCertificate(t *setpoint.Turn, c *Certificate) setpoint.Outcome {
	rotation := c.Status.Rotation
	if renew := renewal(c); !renew.IsZero() && !t.Now().Before(renew) {
		rotation++
	}
	grant := certificates.Ensure(t, t.NaturalKey(), &authority.Request{Hostname: c.Spec.Hostname, Rotation: rotation})
	if !grant.Done() {
		return grant.Outcome()
	}
	c.Status = CertificateStatus{Serial: grant.Result.Serial, NotAfter: grant.Result.NotAfter, Rotation: rotation}
	return grant.Outcome().Again(renewal(c), "Renewal")
}

func renewal(c *Certificate) time.Time {
	if c.Status.NotAfter.IsZero() {
		return time.Time{}
	}
	return c.Status.NotAfter.Add(-CertificateLife / 3)
}

func driveInstance(t *setpoint.Turn, i *Instance) setpoint.Outcome {
	process := processes.Ensure(t, t.NaturalKey(), &host.Request{Image: i.Spec.Image})
	if process.Done() {
		i.Status = InstanceStatus{PID: process.Result.PID, Boot: process.Result.Boot, Admin: process.Result.Admin}
	}
	return process.Outcome()
}

func driveProxyConfig(t *setpoint.Turn, c *ProxyConfig) setpoint.Outcome {
	push := configs.Ensure(t, t.NaturalKey(), &proxy.Request{
		Boot: c.Spec.Boot, Hostname: c.Spec.Hostname, Listen: c.Spec.Listen, Routes: routes(c.Spec.Routes), CertificateSerial: c.Spec.Certificate,
	}, setpoint.At(c.Spec.Admin))
	if push.Done() {
		c.Status = ProxyConfigStatus{Version: push.Result.Version, Generation: int64(c.Generation)}
	}
	return push.Outcome()
}

func routes(wanted []Route) []proxy.Route {
	out := make([]proxy.Route, len(wanted))
	for i, r := range wanted {
		out[i] = proxy.Route(r)
	}
	return out
}

func driveRecord(t *setpoint.Turn, r *DNSRecord) setpoint.Outcome {
	return records.Ensure(t, r.Spec.Name, &dnsupdate.Request{Addresses: r.Spec.Addresses, TTL: 5}).Outcome()
}
