package host

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/setpointhq/setpoint/adapter/subsystem"
)

// Host is the subsystem.Handler. Use [Run] or [Open].
type Host struct {
	options Options
	account account
	bin     string
	kit     *subsystem.Server
	board   *board
	lock    *os.File

	// ctx ends with the host.
	ctx  context.Context
	stop context.CancelFunc

	mu      sync.Mutex
	servers map[string]*server
}

// Run serves until ctx ends. The servers go on, unless [Options.StopServers] says otherwise.
func Run(ctx context.Context, o Options) error {
	h, listener, err := Open(ctx, o)
	if err != nil {
		return err
	}
	if o.Ready != nil {
		o.Ready(listener.Addr())
	}
	return h.Serve(ctx, listener)
}

// Open finds the servers that are there, running or not, and makes a host that is ready to serve on the listener that it returns.
// It starts none of them.
func Open(ctx context.Context, o Options) (h *Host, listener net.Listener, err error) {
	if o.Dir == "" {
		return nil, nil, errors.New("host: Options.Dir must be set")
	}
	o = o.withDefaults()
	h = &Host{options: o, servers: map[string]*server{}, bin: o.Bin, board: newBoard()}
	h.ctx, h.stop = context.WithCancel(context.Background())
	if err := h.prepare(); err != nil {
		return nil, nil, errors.Join(err, h.close())
	}
	if listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("host: %w", err), h.close())
	}
	o.Kit.Dir, o.Kit.Handler, o.Kit.Log = filepath.Join(o.Dir, "kit"), h, o.Log
	if h.kit, err = subsystem.Open(o.Kit); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("host: %w", err), listener.Close(), h.close())
	}
	return h, listener, nil
}

// prepare makes the folders, and finds the servers.
func (h *Host) prepare() (err error) {
	if h.account, err = findAccount(); err != nil {
		return err
	}
	if h.bin == "" {
		if h.bin, err = findPrograms("/usr/lib/postgresql"); err != nil {
			return err
		}
	}
	if h.options.Data, err = filepath.Abs(h.options.Data); err != nil {
		return fmt.Errorf("host: %w", err)
	}
	if err := os.MkdirAll(h.options.Dir, 0o711); err != nil {
		return fmt.Errorf("host: %w", err)
	}
	if h.lock, err = lockFile(filepath.Join(h.options.Dir, "host.lock")); err != nil {
		return fmt.Errorf("host: another host uses %s: %w", h.options.Dir, err)
	}
	if err := os.MkdirAll(h.options.Data, 0o711); err != nil {
		return fmt.Errorf("host: %w", err)
	}
	if err := h.account.reachable(h.options.Data); err != nil {
		return err
	}
	for _, folder := range []string{"servers", "backups", "archives"} {
		if err := h.account.folder(filepath.Join(h.options.Data, folder)); err != nil {
			return fmt.Errorf("host: %w", err)
		}
	}
	return h.find()
}

func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// find takes up the servers whose folders are there. A folder without a state is one that was never finished, or is almost gone.
func (h *Host) find() error {
	folders, err := filepath.Glob(filepath.Join(h.options.Data, "servers", "*", "server.json"))
	if err != nil {
		return err
	}
	for _, path := range folders {
		s := h.newServer("", filepath.Dir(path))
		if err := errors.Join(s.load(), s.heal()); err != nil {
			return fmt.Errorf("host: %w", err)
		}
		s.name = s.state.Name
		h.servers[s.name] = s
		s.watch()
	}
	return nil
}

func (h *Host) newServer(name, folder string) *server {
	return &server{host: h, name: name, folder: folder, turn: make(chan struct{}, 1), worked: make(chan struct{}, 1)}
}

// server is nil when there is none of that name.
func (h *Host) server(name string) *server {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.servers[name]
}

// place is the server of that name, there or to be made.
func (h *Host) place(name string) *server {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.servers[name]
	if s == nil {
		s = h.newServer(name, filepath.Join(h.options.Data, "servers", folderName(name)))
		h.servers[name] = s
	}
	return s
}

// all are the servers, by name.
func (h *Host) all() []*server {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*server, 0, len(h.servers))
	for _, s := range h.servers {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *server) int { return cmp.Compare(a.name, b.name) })
	return all
}

// bounded is a context of the host's own.
func (h *Host) bounded(limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), limit)
}

// freePort picks a port below those that the kernel gives to outgoing connections, which could otherwise take it while
// the server is down.
func (h *Host) freePort() (int, error) {
	const first, last, tries = 10000, 32000, 100
	taken := map[int]bool{}
	folders, err := filepath.Glob(filepath.Join(h.options.Data, "servers", "*", "server.json"))
	if err != nil {
		return 0, err
	}
	for _, path := range folders {
		other := h.newServer("", filepath.Dir(path))
		if err := other.load(); err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
		taken[other.state.Port] = true
	}
	for range tries {
		offset, err := rand.Int(rand.Reader, big.NewInt(last-first))
		if err != nil {
			return 0, err
		}
		port := first + int(offset.Int64())
		if taken[port] {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort(h.options.Address, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		return port, listener.Close()
	}
	return 0, fmt.Errorf("none of %d ports tried from %d to %d was free", tries, first, last)
}

// Kit is the server that keeps the host's memory.
func (h *Host) Kit() *subsystem.Server { return h.kit }

// Serve answers on listener until ctx ends.
func (h *Host) Serve(ctx context.Context, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("/v1/", h.kit.Handler())
	mux.HandleFunc("GET /v1/checkins", h.serveCheckins)
	err := subsystem.ServeHTTP(ctx, listener, mux, func() error {
		h.stop()
		return h.kit.Close()
	})
	if h.options.StopServers {
		err = errors.Join(err, h.stopAll())
	}
	return errors.Join(err, h.close())
}

// stopAll stops all servers, side by side.
func (h *Host) stopAll() error {
	all := h.all()
	errs := make([]error, len(all))
	var stops sync.WaitGroup
	for i, s := range all {
		stops.Go(func() {
			ctx, done, err := s.work(context.Background(), "stopping with the host", 3*h.options.Grace, true)
			if err != nil {
				errs[i] = fmt.Errorf("stop server %q: %w", s.name, err)
				return
			}
			defer done()
			errs[i] = s.stop(ctx)
		})
	}
	stops.Wait()
	return errors.Join(errs...)
}

// close ends what the host itself does. The servers go on.
func (h *Host) close() error {
	h.stop()
	for _, s := range h.all() {
		s.unwatch()
	}
	if h.lock != nil {
		return h.lock.Close()
	}
	return nil
}
