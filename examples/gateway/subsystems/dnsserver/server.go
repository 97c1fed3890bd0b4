package dnsserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/setpointhq/setpoint/adapter/subsystem"
)

// Key signs and verifies messages with hmac-sha256.
type Key struct {
	Name string
	// Secret is in base64.
	Secret string
}

// Options configures a server.
type Options struct {
	// Zone is the name of the zone, for example "edge.example". It must be set.
	Zone string
	// Listen is "host:port", for UDP and TCP; port 0 chooses one. Default "127.0.0.1:0".
	Listen string
	// Control, when set, is the "host:port" of an HTTP listener for POST /v1/faults and GET /v1/ledger.
	Control string
	// Dir holds the journal and the ledger.
	Dir string
	// Key, when set, must sign updates and transfers.
	Key *Key
	// Ready is told the bound addresses; control is nil without a control listener.
	Ready func(dns, control net.Addr)
	// Now is the clock of the ledger's lines. Default time.Now.
	Now func() time.Time
	// Log receives what an operator should know. Default slog.Default().
	Log *slog.Logger
}

// Line is a line of the ledger.
type Line struct {
	At  time.Time `json:"at"`
	Seq uint64    `json:"seq"`
	// Serial is the zone's, after the update.
	Serial uint32 `json:"serial"`
	change
}

// stored is a line of the journal: the lines of one update, or, with Reset, the beginning of a new zone.
type stored struct {
	Reset bool   `json:"reset,omitempty"`
	Lines []Line `json:"lines,omitempty"`
}

// Server is the zone with its files. Use [Open] and [Server.Serve], or [Run].
type Server struct {
	options Options
	faults  subsystem.FaultPlan
	ctx     context.Context
	stop    context.CancelFunc

	// turn admits one update at a time, in order of arrival.
	turn    chan struct{}
	journal *subsystem.Journal
	ledger  *subsystem.Journal
	seq     uint64 // of the ledger's last line
	records int    // of the journal
	broken  error

	mu     sync.RWMutex
	zone   *zone
	closed bool
	// updates are under way.
	updates sync.WaitGroup
}

// Open reads the files of a zone, or makes an empty one.
func Open(o Options) (*Server, error) {
	if o.Zone == "" || o.Dir == "" {
		return nil, errors.New("dnsserver: Options.Zone and Options.Dir must be set")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("dnsserver: %w", err)
	}
	o.Zone = dns.CanonicalName(o.Zone)
	s := &Server{options: o, turn: make(chan struct{}, 1), zone: emptyZone(o.Zone)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("dnsserver: %w", err), s.Close())
	}
	return s, nil
}

func (s *Server) read() (err error) {
	s.ledger, err = subsystem.OpenJournal(filepath.Join(s.options.Dir, subsystem.LedgerFile), func(text []byte) error {
		var line Line
		err := json.Unmarshal(text, &line)
		s.seq = line.Seq
		return err
	})
	if err != nil {
		return err
	}
	s.journal, err = subsystem.OpenJournal(filepath.Join(s.options.Dir, subsystem.JournalFile), func(text []byte) error {
		var entry stored
		if err := json.Unmarshal(text, &entry); err != nil {
			return err
		}
		s.records++
		return s.replay(entry)
	})
	return err
}

// replay applies a line of the journal, and writes those lines of the ledger again that a crash kept out.
func (s *Server) replay(entry stored) error {
	if entry.Reset {
		s.zone = emptyZone(s.options.Zone)
	}
	for _, line := range entry.Lines {
		records, err := parse(line.After)
		if err != nil {
			return err
		}
		s.zone.put(set{line.Name, dns.StringToType[line.Type]}, records)
	}
	return s.note(entry.Lines)
}

// note appends lines to the ledger that are not there yet.
func (s *Server) note(lines []Line) error {
	var missing []any
	for _, line := range lines {
		if line.Seq > s.seq {
			missing = append(missing, line)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := s.ledger.Append(missing...); err != nil {
		return err
	}
	s.seq = lines[len(lines)-1].Seq
	return nil
}

// commit makes a draft the zone, durably. The caller has the turn, so nobody else changes the zone.
func (s *Server) commit(d *draft) error {
	if s.broken != nil {
		return s.broken
	}
	changes := d.changes()
	if len(changes) == 0 {
		return nil
	}
	soaSet := set{d.apex, dns.TypeSOA}
	if _, raised := d.changed[soaSet]; !raised {
		soa := *d.soa()
		if soa.Serial++; soa.Serial == 0 {
			soa.Serial = 1
		}
		d.put(soaSet, []dns.RR{&soa})
		changes = d.changes()
	}
	serial := d.get(soaSet)[0].(*dns.SOA).Serial
	entry := stored{}
	for i, c := range changes {
		entry.Lines = append(entry.Lines, Line{At: s.options.Now().UTC(), Seq: s.seq + uint64(i) + 1, Serial: serial, change: c})
	}
	if err := s.write(entry); err != nil {
		s.broken = fmt.Errorf("dnsserver: the journal cannot be written, restart when the disk is well: %w", err)
		s.options.Log.Error("the zone takes no more updates", "zone", s.options.Zone, "error", err)
		return s.broken
	}
	s.mu.Lock()
	for each, records := range d.changed {
		s.zone.put(each, records)
	}
	s.mu.Unlock()
	if s.records < 1024+4*s.zone.size() {
		return nil
	}
	return s.rewrite(s.zone) // three quarters of it are garbage
}

func (s *Server) write(entry stored) error {
	position, err := s.journal.Append(entry)
	if err != nil {
		return err
	}
	s.records++
	return errors.Join(s.journal.Sync(position), s.note(entry.Lines))
}

// rewrite makes the journal say z and nothing else. The caller has the turn.
func (s *Server) rewrite(z *zone) error {
	lines := []any{stored{Reset: true}}
	z.each(func(each set, records []dns.RR) {
		c := change{Name: each.name, Type: dns.TypeToString[each.rtype], After: text(records)}
		lines = append(lines, stored{Lines: []Line{{change: c}}})
	})
	s.records = len(lines)
	err := s.ledger.Sync(s.ledger.Written()) // the journal's copies of its lines are about to go
	if err == nil {
		err = s.journal.Rewrite(func(emit func(any) error) error {
			for _, line := range lines {
				if err := emit(line); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		s.broken = err
	}
	return err
}

// SetFaults tells the server to misbehave from now on.
func (s *Server) SetFaults(f subsystem.Faults) error {
	if err := s.faults.Set(f); err != nil {
		return err
	}
	if f.ForgetNow {
		return s.Forget()
	}
	return nil
}

// Forget empties the zone, as when the server is replaced. The ledger stays.
func (s *Server) Forget() error {
	end, err := s.begin()
	if err != nil {
		return err
	}
	defer end()
	z := emptyZone(s.options.Zone)
	if err := s.rewrite(z); err != nil {
		return fmt.Errorf("dnsserver: forget: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone = z
	return nil
}

// errClosed ends updates that come too late.
var errClosed = errors.New("dnsserver: the server is shut down")

// begin waits for the turn to change the zone.
func (s *Server) begin() (end func(), err error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errClosed
	}
	s.updates.Add(1)
	s.mu.Unlock()
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn; s.updates.Done() }, nil
	case <-s.ctx.Done():
		s.updates.Done()
		return nil, errClosed
	}
}

// Ledger reads the evidence so far.
func (s *Server) Ledger() ([]Line, error) {
	var lines []Line
	content, err := os.Open(filepath.Join(s.options.Dir, subsystem.LedgerFile))
	if err != nil {
		return nil, fmt.Errorf("dnsserver: %w", err)
	}
	decoder := json.NewDecoder(content)
	for decoder.More() {
		var line Line
		if err := decoder.Decode(&line); err != nil {
			return nil, errors.Join(fmt.Errorf("dnsserver: read the ledger: %w", err), content.Close())
		}
		lines = append(lines, line)
	}
	return lines, content.Close()
}

// Close ends delays, waits for updates under way, and closes the files.
func (s *Server) Close() error {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.updates.Wait()
	if already {
		return nil
	}
	var errs []error
	for _, j := range []*subsystem.Journal{s.journal, s.ledger} {
		if j != nil {
			errs = append(errs, j.Close())
		}
	}
	return errors.Join(errs...)
}
