package host

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// floor is a setting of which a server that repeats a log may not have less than the server had that wrote it: it would not start.
type floor struct {
	// written is its name in what pg_controldata prints, and usual is PostgreSQL's default.
	written string
	usual   int
}

var floors = map[string]floor{
	"max_connections":           {"max_connections setting", 100},
	"max_worker_processes":      {"max_worker_processes setting", 8},
	"max_wal_senders":           {"max_wal_senders setting", 10},
	"max_prepared_transactions": {"max_prepared_xacts setting", 0},
	"max_locks_per_transaction": {"max_locks_per_xact setting", 64},
}

// raiseToFloors has a server that repeats a log keep what it needs of these settings, until the log says that its writer has less. When to lower them is
// so nobody's concern: the writer is restarted, and whoever follows it may be at any time after.
func (s *server) raiseToFloors(data string, settings map[string]string) error {
	if !exists(signal(data)) && !exists(filepath.Join(data, "recovery.signal")) {
		return nil
	}
	ctx, cancel := s.host.bounded(10 * time.Second)
	defer cancel()
	text, err := s.tool(ctx, nil, "pg_controldata", "--pgdata="+data)
	if err != nil {
		return err
	}
	had := controlled(text)
	for name, f := range floors {
		least, err := strconv.Atoi(had[f.written])
		if err != nil {
			continue // a version that does not say
		}
		has := f.usual
		if wanted, set := settings[name]; set {
			if has, err = strconv.Atoi(wanted); err != nil {
				continue // PostgreSQL judges it
			}
		}
		if has < least {
			settings[name] = strconv.Itoa(least)
		}
	}
	return nil
}

// controlled are the lines of what pg_controldata prints.
func controlled(text string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		values[name] = strings.TrimSpace(value)
	}
	return values
}
