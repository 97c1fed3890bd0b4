package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/setpointhq/setpoint/command"
)

// server is one server's place on this machine. One piece of work is done to it at a time.
type server struct {
	host   *Host
	name   string
	folder string
	// turn is held by who works on the server, and guards state.
	turn  chan struct{}
	state state
	// port is that of the state, for those who have not the turn.
	port atomic.Int32
	// starts counts them.
	starts atomic.Uint64
	// worked has an element when something has been done to the server: it is asked at once how it is.
	worked chan struct{}
	// watched ends the asking after its health, and watching is closed when that has ended; nil when it has not begun.
	watched  context.CancelFunc
	watching chan struct{}

	mu sync.Mutex
	// doing is what holds the turn, since when, and how to cut it off; planned says that the server is not up on purpose meanwhile.
	doing   string
	since   time.Time
	cut     context.CancelCauseFunc
	planned string
	// turned is the order of the latest operation that has turned the server; it is that of the state, for those who have not the turn.
	turned order
}

// state is what is to be true of a server, kept in its folder.
type state struct {
	Name string `json:"name"`
	Port int    `json:"port"`
	// Upstream is what the server follows, when it follows.
	Upstream    string            `json:"upstream,omitempty"`
	Replication Login             `json:"replication"`
	Parameters  map[string]string `json:"parameters,omitempty"`
	Synchronous []string          `json:"synchronous,omitempty"`
	// Started says that the server was up once: its port is known to others.
	Started bool `json:"started,omitempty"`
	// Rewinding says that the data is being rewritten and may be neither one thing nor the other.
	Rewinding bool `json:"rewinding,omitempty"`
	// Restoring is set until a restoration is done, and reads RestoreArchive.
	Restoring      *Restore `json:"restoring,omitempty"`
	RestoreArchive string   `json:"restoreArchive,omitempty"`
	// Leaving is the archive of its own that a server is about to get by unfollowing.
	Leaving string `json:"leaving,omitempty"`
	// Turned is the order of the latest operation that said whether the server leads, follows or stays down.
	Turned order `json:"turned,omitzero"`
	// Restarted is the token of the last restart.
	Restarted command.Token `json:"restarted,omitempty"`
	// Removing says that the server is to be gone.
	Removing bool `json:"removing,omitempty"`
}

func (s *server) data() string      { return filepath.Join(s.folder, "data") }
func (s *server) log() string       { return filepath.Join(s.folder, "log") }
func (s *server) fence() string     { return filepath.Join(s.folder, "fence") }
func (s *server) stateFile() string { return filepath.Join(s.folder, "server.json") }
func (s *server) fenced() bool      { return exists(s.fence()) }
func (s *server) made() bool        { return exists(s.data()) }

// standby is PostgreSQL's own word for a server that follows.
func (s *server) standby() bool { return exists(signal(s.data())) }

func (s *server) address() string {
	return fmt.Sprintf("%s:%d", s.host.options.Address, s.port.Load())
}

// tag marks the server's processes and its socket; another host's server of the same name has another one.
func (s *server) tag() string {
	digest := sha256.Sum256([]byte(s.folder))
	return "sp-" + hex.EncodeToString(digest[:6])
}

// save writes the state, durably.
func (s *server) save() error {
	s.port.Store(int32(s.state.Port))
	text, err := json.MarshalIndent(s.state, "", "\t")
	if err != nil {
		return err
	}
	if err := s.host.account.write(s.stateFile(), text); err != nil {
		return fmt.Errorf("server %q: keep its state: %w", s.name, err)
	}
	return nil
}

func (s *server) load() error {
	text, err := os.ReadFile(s.stateFile())
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &s.state); err != nil {
		return fmt.Errorf("%s: %w", s.stateFile(), err)
	}
	s.port.Store(int32(s.state.Port))
	s.turned = s.state.Turned
	return nil
}

// folderName spells a name as that of a folder. Names hold no plus.
func folderName(name string) string { return strings.ReplaceAll(name, "/", "+") }

var (
	// errBusy says that something else is being done to the server.
	errBusy = errors.New("the server is busy")
	// errFenced says that a server does not start because it is fenced.
	errFenced = errors.New("the server is fenced: have it follow another one, or unfence it")
	// errCut is why work ends that a fence has cut off.
	errCut = errors.New("cut off, because the server is to be fenced")
)

// patience is how long work waits for other work on the same server before the caller is told to come back.
const patience = 2 * time.Second

// work takes the turn, for at most the given time. With cut it has first cut off what else is being done.
func (s *server) work(ctx context.Context, doing string, limit time.Duration, cut bool) (context.Context, func(), error) {
	wait := patience
	if cut {
		s.interrupt()
		wait = s.host.options.Grace + patience // what is cut off cleans up
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-timer.C:
		return nil, nil, s.busy()
	}
	ctx, done := s.begin(ctx, doing, limit)
	return ctx, done, nil
}

// workNow takes the turn when it is free.
func (s *server) workNow(ctx context.Context, doing string) (context.Context, func(), error) {
	select {
	case s.turn <- struct{}{}:
		ctx, done := s.begin(ctx, doing, patience)
		return ctx, done, nil
	default:
		return nil, nil, s.busy()
	}
}

func (s *server) busy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Errorf("%w: %s, since %v", errBusy, s.doing, time.Since(s.since).Round(time.Second))
}

// begin is for who has the turn; the function that it returns gives it back.
func (s *server) begin(ctx context.Context, doing string, limit time.Duration) (context.Context, func()) {
	ctx, abort := context.WithCancelCause(ctx)
	ctx, cancel := context.WithTimeout(ctx, limit)
	s.mu.Lock()
	s.doing, s.since, s.cut = doing, time.Now(), abort
	s.mu.Unlock()
	return ctx, func() {
		cancel()
		abort(nil)
		s.mu.Lock()
		s.doing, s.cut = "", nil
		s.mu.Unlock()
		s.plan("")
		<-s.turn
		select {
		case s.worked <- struct{}{}:
		default: // it is about to be asked
		}
	}
}

func (s *server) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut != nil {
		s.cut(errCut)
	}
}

// plan says that the server is not up on purpose until its turn ends.
func (s *server) plan(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.planned = what
}

func (s *server) plans() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.planned
}

// cause is why ctx ended, rather than that it did.
func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); why != nil && !errors.Is(err, why) {
		return fmt.Errorf("%w (%w)", err, why)
	}
	return err
}
