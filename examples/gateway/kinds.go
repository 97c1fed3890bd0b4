package gateway

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/setpointhq/setpoint"
)

// Group is the API group of the service's kinds.
const Group = "edge.example"

// The states of a gateway.
const (
	Provisioning setpoint.State = "Provisioning"
	Active       setpoint.State = "Active"
	Degraded     setpoint.State = "Degraded"
	Failed       setpoint.State = "Failed"
	Deleting     setpoint.State = "Deleting"
	Deleted      setpoint.State = "Deleted"
)

// life is the state machine of a gateway. Every state but the final one may be left by deletion.
var life = setpoint.Lifecycle{
	{State: Provisioning, Budget: 10 * time.Minute, To: setpoint.To(Active, Failed, Deleting)},
	{State: Active, Healthy: true, Stable: true, To: setpoint.To(Degraded, Deleting)},
	{State: Degraded, Budget: 5 * time.Minute, To: setpoint.To(Active, Failed, Deleting)},
	{State: Failed, Stable: true, To: setpoint.To(Provisioning, Active, Deleting)},
	{State: Deleting, Deleting: true, Budget: 10 * time.Minute, To: setpoint.To(Deleted)},
	{State: Deleted, Final: true, Stable: true},
}

// Route sends the requests below a path to an upstream.
type Route struct {
	Path     string `json:"path"`
	Upstream string `json:"upstream"`
}

// GatewaySpec is what a customer asks for.
type GatewaySpec struct {
	// Hostname is the name that clients connect to. It cannot be changed.
	Hostname string  `json:"hostname"`
	Routes   []Route `json:"routes"`
	// Replicas is the number of proxy processes that share the address.
	Replicas int `json:"replicas,omitempty"`
}

// GatewayStatus is what the customer is told.
type GatewayStatus struct {
	Address string `json:"address,omitempty"`
	URL     string `json:"url,omitempty"`
	// Serving counts the replicas that run the latest routes.
	Serving int `json:"serving"`
}

// Gateway is a hostname with routes, served over TLS by a number of proxies.
type Gateway = setpoint.Resource[GatewaySpec, GatewayStatus]

// Gateways is the kind that customers use; the others are its parts.
var Gateways = setpoint.MustDefine(setpoint.KindOptions[GatewaySpec, GatewayStatus]{
	Group: Group, Version: "v1", Kind: "Gateway", ShortNames: []string{"gw"},
	Description: "A hostname with routes, served over TLS by a number of proxies.",
	Lifecycle:   life,
	Default: func(s *GatewaySpec) {
		if s.Replicas == 0 {
			s.Replicas = 1
		}
	},
	Validate: validateGateway,
	Columns: []setpoint.Column{
		{Name: "State", Path: ".status.state"},
		{Name: "Hostname", Path: ".spec.hostname"},
		{Name: "Address", Path: ".status.address"},
		{Name: "Serving", Path: ".status.serving", Type: "integer"},
		{Name: "Replicas", Path: ".spec.replicas", Type: "integer"},
	},
})

func validateGateway(old, g *Gateway) error {
	var bad []error
	refuse := func(field, format string, args ...any) { bad = append(bad, setpoint.Refuse(field, format, args...)) }
	if !strings.Contains(g.Spec.Hostname, ".") {
		refuse("spec.hostname", "want a full name such as shop.edge.test, got %q", g.Spec.Hostname)
	}
	if old != nil && old.Spec.Hostname != g.Spec.Hostname {
		refuse("spec.hostname", "cannot be changed from %q; create another gateway", old.Spec.Hostname)
	}
	if g.Spec.Replicas < 1 || g.Spec.Replicas > 16 {
		refuse("spec.replicas", "want 1 to 16, got %d", g.Spec.Replicas)
	}
	for i, r := range g.Spec.Routes {
		if !strings.HasPrefix(r.Path, "/") {
			refuse(fmt.Sprintf("spec.routes[%d].path", i), "want a path that begins with /, got %q", r.Path)
		}
		if !strings.HasPrefix(r.Upstream, "http://") && !strings.HasPrefix(r.Upstream, "https://") {
			refuse(fmt.Sprintf("spec.routes[%d].upstream", i), "want an http:// or https:// URL, got %q", r.Upstream)
		}
	}
	return errors.Join(bad...)
}

// AddressSpec asks for one address out of a pool.
type AddressSpec struct {
	Pool string `json:"pool"`
}

// AddressStatus holds the address that was granted.
type AddressStatus struct {
	IP string `json:"ip,omitempty"`
}

// Address is a loopback address, granted by the allocator.
type Address = setpoint.Resource[AddressSpec, AddressStatus]

// Addresses is the kind of Address.
var Addresses = setpoint.MustDefine(setpoint.KindOptions[AddressSpec, AddressStatus]{
	Group: Group, Version: "v1", Kind: "Address", Plural: "addresses",
	Description: "A loopback address, granted by the allocator.",
	Columns:     []setpoint.Column{{Name: "Pool", Path: ".spec.pool"}, {Name: "IP", Path: ".status.ip"}, ready},
})

// CertificateSpec asks for a certificate from the local authority.
type CertificateSpec struct {
	Hostname string `json:"hostname"`
}

// CertificateStatus names the certificate that is current.
type CertificateStatus struct {
	Serial   string    `json:"serial,omitempty"`
	NotAfter time.Time `json:"notAfter,omitzero"`
	// Rotation counts the certificates that were issued for this object.
	Rotation int `json:"rotation,omitempty"`
}

// Certificate is a certificate of the local authority, renewed before it expires.
type Certificate = setpoint.Resource[CertificateSpec, CertificateStatus]

// Certificates is the kind of Certificate.
var Certificates = setpoint.MustDefine(setpoint.KindOptions[CertificateSpec, CertificateStatus]{
	Group: Group, Version: "v1", Kind: "Certificate", ShortNames: []string{"cert"},
	Description: "A certificate of the local authority, renewed before it expires.",
	Columns: []setpoint.Column{
		{Name: "Hostname", Path: ".spec.hostname"}, {Name: "Serial", Path: ".status.serial"},
		{Name: "Expires", Path: ".status.notAfter", Type: "date"}, ready,
	},
})

// InstanceSpec asks for one proxy process.
type InstanceSpec struct {
	Image string `json:"image"`
}

// InstanceStatus says which process it is.
type InstanceStatus struct {
	PID int `json:"pid,omitempty"`
	// Boot is another for every start of a process.
	Boot string `json:"boot,omitempty"`
	// Admin is the URL at which the process takes its configuration.
	Admin string `json:"admin,omitempty"`
}

// Instance is one proxy process on the instance host.
type Instance = setpoint.Resource[InstanceSpec, InstanceStatus]

// Instances is the kind of Instance.
var Instances = setpoint.MustDefine(setpoint.KindOptions[InstanceSpec, InstanceStatus]{
	Group: Group, Version: "v1", Kind: "Instance",
	Description: "One proxy process on the instance host.",
	Columns: []setpoint.Column{
		{Name: "PID", Path: ".status.pid", Type: "integer"}, {Name: "Admin", Path: ".status.admin"}, ready,
	},
})

// ProxyConfigSpec is the configuration of one proxy process.
type ProxyConfigSpec struct {
	// Admin and Boot say which process it is for.
	Admin       string   `json:"admin"`
	Boot        string   `json:"boot"`
	Hostname    string   `json:"hostname"`
	Listen      []string `json:"listen"`
	Routes      []Route  `json:"routes"`
	Certificate string   `json:"certificate"`
}

// ProxyConfigStatus holds the version that the process has acknowledged.
type ProxyConfigStatus struct {
	Version string `json:"version,omitempty"`
	// Generation of the spec that the version stands for.
	Generation int64 `json:"generation,omitempty"`
}

// ProxyConfig is pushed into a proxy process, and acknowledged by version.
type ProxyConfig = setpoint.Resource[ProxyConfigSpec, ProxyConfigStatus]

// ProxyConfigs is the kind of ProxyConfig.
var ProxyConfigs = setpoint.MustDefine(setpoint.KindOptions[ProxyConfigSpec, ProxyConfigStatus]{
	Group: Group, Version: "v1", Kind: "ProxyConfig",
	Description: "The configuration of one proxy process, acknowledged by version.",
	Columns:     []setpoint.Column{{Name: "Version", Path: ".status.version"}, ready},
})

// DNSRecordSpec asks for an address record.
type DNSRecordSpec struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"`
}

// DNSRecordStatus is empty: a record is there or it is not, which the Ready condition says.
type DNSRecordStatus struct{}

// DNSRecord is an address record on the DNS server.
type DNSRecord = setpoint.Resource[DNSRecordSpec, DNSRecordStatus]

// DNSRecords is the kind of DNSRecord.
var DNSRecords = setpoint.MustDefine(setpoint.KindOptions[DNSRecordSpec, DNSRecordStatus]{
	Group: Group, Version: "v1", Kind: "DNSRecord",
	Description: "An address record on the DNS server.",
	Columns:     []setpoint.Column{{Name: "Name", Path: ".spec.name"}, {Name: "Addresses", Path: ".spec.addresses"}, ready},
})

var ready = setpoint.Column{Name: "Ready", Path: `.status.conditions[?(@.type=="Ready")].status`}

// Kinds lists the kinds of the service, the customer's first.
func Kinds() []*setpoint.Definition {
	return []*setpoint.Definition{
		Gateways.Definition, Addresses.Definition, Certificates.Definition, Instances.Definition,
		ProxyConfigs.Definition, DNSRecords.Definition,
	}
}
