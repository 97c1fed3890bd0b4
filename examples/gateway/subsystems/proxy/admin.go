package proxy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// Admin keeps the version fence of one proxy and hands accepted configurations on. It is the http.Handler of the admin
// listener. Use [NewAdmin].
type Admin struct {
	boot string
	load func(*Config) error

	mu      sync.Mutex
	version version
	token   command.Token
	// body is the accepted configuration as JSON, nil when none is loaded.
	body   []byte
	config *Config
}

// version orders configurations.
type version struct {
	epoch  resource.Epoch
	intent uint64
}

func (v version) compare(o version) int {
	return cmp.Or(v.epoch.Compare(o.epoch), cmp.Compare(v.intent, o.intent))
}

func (v version) String() string { return fmt.Sprintf("%s/%d", v.epoch, v.intent) }

// NewAdmin makes the admin side of a process. load takes a configuration, nil to unload; its error leaves what was loaded
// before in service. A simulated proxy has a load that only checks.
func NewAdmin(boot string, load func(*Config) error) *Admin {
	return &Admin{boot: boot, load: load}
}

// Apply judges and loads one push.
func (a *Admin) Apply(p Push) subsystem.ApplyAnswer {
	refuse := func(class command.Class, format string, arguments ...any) subsystem.ApplyAnswer {
		return subsystem.ApplyAnswer{Outcome: command.OutcomeRefused, Class: class, Message: fmt.Sprintf(format, arguments...)}
	}
	if p.Token == "" {
		return refuse(command.Terminal, "the push has no token")
	}
	body, err := json.Marshal(p.Config)
	if err != nil {
		return refuse(command.Terminal, "the configuration cannot be encoded: %v", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	wanted := version{p.Epoch, p.Intent}
	if wanted.compare(a.version) < 0 {
		return refuse(command.Stale, "version %s is over: %s was seen", wanted, a.version)
	}
	if p.Token == a.token {
		if !bytes.Equal(body, a.body) {
			return refuse(command.Terminal, "token %s was used for another configuration: a new wish needs a new token", p.Token)
		}
		a.version = wanted
		return a.done(true)
	}
	a.version = wanted // seen, whatever becomes of it
	if err := a.load(p.Config); err != nil {
		return refuse(command.Terminal, "%v", err)
	}
	a.token, a.body, a.config = p.Token, body, p.Config
	return a.done(false)
}

func (a *Admin) done(repeated bool) subsystem.ApplyAnswer {
	result := fmt.Appendf(nil, `{"version":%q,"boot":%q}`, a.version, a.boot)
	return subsystem.ApplyAnswer{Outcome: command.OutcomeDone, Result: result, Repeated: repeated}
}

// Status tells what is loaded, without the private key.
func (a *Admin) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Status{Boot: a.boot, Token: a.token}
	if a.version != (version{}) {
		s.Version = a.version.String()
	}
	if c := a.config; c != nil {
		s.Loaded, s.Hostname, s.Listen, s.CertificateSerial = true, c.Hostname, c.Listen, c.Certificate.Serial
	}
	return s
}

// ServeHTTP serves PUT /config and GET /status, also below "/<boot>". Below another process's name it answers 410: the
// caller means a process that had this port before.
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(subsystem.Header, "1")
	path := strings.TrimPrefix(r.URL.Path, "/"+a.boot)
	switch r.Method + " " + path {
	case "GET /status":
		writeJSON(w, a.Status())
	case "PUT /config":
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, subsystem.MaxBody))
		var push Push
		if err == nil {
			err = json.Unmarshal(text, &push)
		}
		if err != nil {
			http.Error(w, "the push cannot be read: "+err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, a.Apply(push))
	default:
		http.Error(w, fmt.Sprintf("this is %s: it has PUT /%[1]s/config and GET /%[1]s/status", a.boot), http.StatusGone)
	}
}

func writeJSON(w http.ResponseWriter, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(text); err != nil {
		slog.Debug("the caller did not take the answer", "error", err)
	}
}
