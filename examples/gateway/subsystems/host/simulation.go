package host

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/examples/gateway/subsystems/proxy"
)

// simulation runs instances as objects that take configurations and serve nothing.
type simulation struct {
	base  string
	ended func(*instance, string)

	mu        sync.Mutex
	instances map[string]*simulated // by boot
}

type simulated struct {
	instance *instance
	admin    *proxy.Admin
}

func newSimulation(base string, ended func(*instance, string)) *simulation {
	return &simulation{base: base, ended: ended, instances: map[string]*simulated{}}
}

func (s *simulation) find() ([]*instance, error) { return nil, nil }

func (s *simulation) start(_ string, i *instance) error {
	i.Admin = s.base + i.Boot
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instances[i.Boot] = &simulated{i, proxy.NewAdmin(i.Boot, func(*proxy.Config) error { return nil })}
	return nil
}

func (s *simulation) stop(_ context.Context, i *instance, _ time.Duration) error {
	s.end(i.Boot, "ended as asked")
	return nil
}

// end reports whether there was such an instance.
func (s *simulation) end(boot, why string) bool {
	s.mu.Lock()
	found := s.instances[boot]
	delete(s.instances, boot)
	s.mu.Unlock()
	if found == nil {
		return false
	}
	s.ended(found.instance, why)
	return true
}

// ServeHTTP serves the admin protocol of all instances, and POST …/kill.
func (s *simulation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	boot, operation, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/instances/"), "/")
	if operation == "kill" && r.Method == http.MethodPost {
		if !s.end(boot, "killed") {
			http.Error(w, "there is no instance "+boot, http.StatusGone)
		}
		return
	}
	s.mu.Lock()
	found := s.instances[boot]
	s.mu.Unlock()
	if found == nil {
		http.Error(w, "there is no instance "+boot, http.StatusGone)
		return
	}
	http.StripPrefix("/instances", found.admin).ServeHTTP(w, r)
}

func (s *simulation) close() error { return nil }
