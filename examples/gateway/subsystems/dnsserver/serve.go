package dnsserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/miekg/dns"

	"github.com/setpointhq/setpoint/adapter/subsystem"
)

// Run serves a zone until ctx ends.
func Run(ctx context.Context, o Options) error {
	s, err := Open(o)
	if err != nil {
		return err
	}
	return s.Serve(ctx)
}

// Serve listens, tells [Options.Ready], answers until ctx ends, and closes the server.
func (s *Server) Serve(ctx context.Context) error {
	tcp, udp, err := listen(ctx, s.options.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("dnsserver: %w", err), s.Close())
	}
	var control net.Listener
	if s.options.Control != "" {
		if control, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.options.Control); err != nil {
			return errors.Join(fmt.Errorf("dnsserver: control: %w", err), tcp.Close(), udp.Close(), s.Close())
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	servers := []*dns.Server{{Listener: tcp}, {PacketConn: udp}}
	ended := make(chan error, len(servers)+1)
	running := 0
	for _, server := range servers {
		started := make(chan struct{})
		s.configure(server, started)
		running++
		go func() { ended <- server.ActivateAndServe() }()
		<-started
	}
	if control != nil {
		running++
		go func() { ended <- subsystem.ServeHTTP(ctx, control, s.control(), func() error { return nil }) }()
	}
	s.ready(tcp, control)
	select {
	case <-ctx.Done():
	case err = <-ended:
		running--
	}
	cancel()
	return errors.Join(err, s.shutDown(servers, ended, running))
}

// shutDown ends the delays first, so that no listener has to wait for them.
func (s *Server) shutDown(servers []*dns.Server, ended chan error, running int) error {
	errs := []error{s.Close()}
	grace, done := context.WithTimeout(context.Background(), 5*time.Second)
	defer done()
	for _, server := range servers {
		errs = append(errs, server.ShutdownContext(grace))
	}
	for range running {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}

func (s *Server) ready(tcp, control net.Listener) {
	if s.options.Ready == nil {
		return
	}
	var address net.Addr
	if control != nil {
		address = control.Addr()
	}
	s.options.Ready(tcp.Addr(), address)
}

func (s *Server) configure(server *dns.Server, started chan struct{}) {
	server.Handler = dns.HandlerFunc(s.serveDNS)
	server.UDPSize = dns.DefaultMsgSize
	server.NotifyStartedFunc = func() { close(started) }
	server.MsgAcceptFunc = accept
	if k := s.options.Key; k != nil {
		server.TsigSecret = map[string]string{dns.CanonicalName(k.Name): k.Secret}
	}
}

// accept takes queries and updates with one question, and nothing else.
func accept(header dns.Header) dns.MsgAcceptAction {
	const response = 1 << 15
	if header.Bits&response != 0 {
		return dns.MsgIgnore
	}
	switch opcode := int(header.Bits>>11) & 0xF; {
	case opcode != dns.OpcodeQuery && opcode != dns.OpcodeUpdate:
		return dns.MsgRejectNotImplemented
	case header.Qdcount != 1:
		return dns.MsgReject
	}
	return dns.MsgAccept
}

// listen binds one port for TCP and UDP. A port that was chosen for TCP may be taken for UDP, so it tries a few.
func listen(ctx context.Context, address string) (tcp net.Listener, udp net.PacketConn, err error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	var config net.ListenConfig
	for range 20 {
		if tcp, err = config.Listen(ctx, "tcp", address); err != nil {
			return nil, nil, err
		}
		if udp, err = config.ListenPacket(ctx, "udp", tcp.Addr().String()); err == nil {
			return tcp, udp, nil
		}
		err = errors.Join(err, tcp.Close())
	}
	return nil, nil, err
}

// serveDNS answers one message.
func (s *Server) serveDNS(w dns.ResponseWriter, m *dns.Msg) {
	reply := new(dns.Msg).SetReply(m)
	q := m.Question[0]
	guarded := m.Opcode == dns.OpcodeUpdate || q.Qtype == dns.TypeAXFR || q.Qtype == dns.TypeIXFR
	switch {
	case m.IsTsig() != nil && w.TsigStatus() != nil, s.options.Key != nil && guarded && m.IsTsig() == nil:
		reply.Rcode = dns.RcodeNotAuth
	case m.Opcode == dns.OpcodeUpdate:
		rcode, answered := s.serveUpdate(m)
		if !answered {
			s.hangUp(w)
			return
		}
		reply.Rcode = rcode
	case q.Qtype == dns.TypeAXFR:
		s.serveTransfer(w, m, reply)
		return
	case q.Qtype == dns.TypeIXFR:
		reply.Rcode = dns.RcodeNotImplemented
	default:
		s.mu.RLock()
		s.zone.answer(q, reply)
		s.mu.RUnlock()
	}
	s.send(w, m, reply)
}

// send signs and, over UDP, cuts to what the asker can take.
func (s *Server) send(w dns.ResponseWriter, m, reply *dns.Msg) {
	size := dns.MinMsgSize
	if opt := m.IsEdns0(); opt != nil {
		reply.SetEdns0(dns.DefaultMsgSize, false)
		size = max(size, int(opt.UDPSize()))
	}
	if w.RemoteAddr().Network() == "udp" {
		reply.Truncate(size)
	}
	if t := m.IsTsig(); t != nil && w.TsigStatus() == nil && s.options.Key != nil {
		reply.SetTsig(t.Hdr.Name, t.Algorithm, 300, time.Now().Unix())
	}
	if err := w.WriteMsg(reply); err != nil {
		s.options.Log.Debug("the asker did not take the answer", "error", err)
	}
}

// hangUp leaves the asker without an answer.
func (s *Server) hangUp(w dns.ResponseWriter) {
	if w.RemoteAddr().Network() != "tcp" {
		return
	}
	if err := w.Close(); err != nil {
		s.options.Log.Debug("hang up", "error", err)
	}
}

func (s *Server) serveTransfer(w dns.ResponseWriter, m, reply *dns.Msg) {
	if w.RemoteAddr().Network() != "tcp" || dns.CanonicalName(m.Question[0].Name) != s.options.Zone {
		reply.Rcode = dns.RcodeRefused
		s.send(w, m, reply)
		return
	}
	s.mu.RLock()
	pages := s.zone.pages()
	s.mu.RUnlock()
	for _, page := range pages {
		part := new(dns.Msg).SetReply(m)
		part.Authoritative, part.Answer = true, page
		if t := m.IsTsig(); t != nil && s.options.Key != nil {
			part.SetTsig(t.Hdr.Name, t.Algorithm, 300, time.Now().Unix())
		}
		if err := w.WriteMsg(part); err != nil {
			s.options.Log.Debug("a transfer broke off", "error", err)
			return
		}
		w.TsigTimersOnly(true)
	}
}

// serveUpdate applies an update, with the mishaps that it was told to have. answered is false when the asker must not
// hear of it.
func (s *Server) serveUpdate(m *dns.Msg) (rcode int, answered bool) {
	mishap := s.faults.Draw()
	if mishap.LoseRequest {
		return 0, false
	}
	if mishap.Refuse {
		return []int{dns.RcodeRefused, dns.RcodeServerFailure}[m.Id%2], true
	}
	if mishap.Forget {
		if err := s.Forget(); err != nil {
			return dns.RcodeServerFailure, true
		}
	}
	end, err := s.begin()
	if err != nil {
		return 0, false
	}
	defer end()
	if mishap.Delay > 0 {
		timer := time.NewTimer(mishap.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.ctx.Done():
			return 0, false
		}
	}
	rcode = s.update(m, mishap.Halfway)
	return rcode, !mishap.LoseAnswer
}

// update has the turn.
func (s *Server) update(m *dns.Msg, halfway bool) int {
	q := m.Question[0]
	if q.Qtype != dns.TypeSOA || q.Qclass != dns.ClassINET {
		return dns.RcodeFormatError
	}
	if dns.CanonicalName(q.Name) != s.options.Zone {
		return dns.RcodeNotAuth
	}
	if halfway {
		m = withoutTXT(m)
	}
	// Only the holder of the turn changes the zone, so it reads it without the lock.
	d, rcode := s.zone.update(m)
	if rcode != dns.RcodeSuccess {
		return rcode
	}
	if err := s.commit(d); err != nil {
		s.options.Log.Error("an update was not recorded", "error", err)
		return dns.RcodeServerFailure
	}
	if halfway {
		return dns.RcodeServerFailure
	}
	return dns.RcodeSuccess
}

// withoutTXT is the half of an update that leaves fences out.
func withoutTXT(m *dns.Msg) *dns.Msg {
	half := *m
	half.Ns = nil
	for _, rr := range m.Ns {
		if rr.Header().Rrtype != dns.TypeTXT {
			half.Ns = append(half.Ns, rr)
		}
	}
	return &half
}

// control serves POST /v1/faults and GET /v1/ledger.
func (s *Server) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/faults", func(w http.ResponseWriter, r *http.Request) {
		var faults subsystem.Faults
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, subsystem.MaxBody))
		if err == nil {
			err = json.Unmarshal(body, &faults)
		}
		if err == nil {
			err = s.SetFaults(faults)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("GET /v1/ledger", func(w http.ResponseWriter, _ *http.Request) {
		content, err := os.Open(filepath.Join(s.options.Dir, subsystem.LedgerFile))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/jsonl")
		_, err = io.Copy(w, content)
		if err = errors.Join(err, content.Close()); err != nil {
			s.options.Log.Debug("the ledger was not sent whole", "error", err)
		}
	})
	return mux
}
