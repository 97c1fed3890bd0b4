package host

import (
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
)

// Role is the role of the host itself in its servers. It is for nobody else.
const Role = "setpoint"

// Options configures a host. Dir must be set; every other zero value takes the default named beside it.
type Options struct {
	// Listen is "host:port" for the plane; port 0 chooses one. Default "127.0.0.1:0".
	Listen string
	// Dir holds the journal and the ledger. One host at a time may use it.
	Dir string
	// Data holds servers, backups and archives. Default: Dir/data. Run by root, all folders above it must be open to
	// others (mode o+x), because the servers run as another user.
	Data string
	// Address is where servers listen. Default "127.0.0.1".
	Address string
	// Allow are the networks from which clients may come, besides loopback.
	Allow []string
	// Bin is a folder of PostgreSQL's programs. Default: the newest of /usr/lib/postgresql/*/bin, from version 14 on.
	Bin string
	// Grace is how long a server may take to stop in order before it is stopped at once. Default 10 s.
	Grace time.Duration
	// ReadyIn is how long a server may take to start, to be promoted, or to stream. Default 60 s.
	ReadyIn time.Duration
	// CopyIn is how long copying a server may take: a base backup, a rewind, a restoration. Default 1 h.
	CopyIn time.Duration
	// Every is how often a server is asked how it is. Default 1 s, which is also the beat of check-ins.
	Every time.Duration
	// MissAfter is how long a server may be silent before it counts as not answering. Default 2 × Every.
	MissAfter time.Duration
	// AdriftAfter is how long a standby may answer without receiving from its upstream before it counts as adrift. Default 5 × Every.
	AdriftAfter time.Duration
	// Keep is how long archived log is kept that no backup needs, for standbys that were away. Default 24 h.
	Keep time.Duration
	// StopServers stops all servers when the host itself ends in order.
	StopServers bool
	// Ready is told the bound address.
	Ready func(net.Addr)
	// Log receives what an operator should know. Default slog.Default().
	Log *slog.Logger
	// Kit configures the rest; its Dir, Handler and Log are ignored.
	Kit subsystem.Options

	// template is a fresh data folder to copy instead of making one; tests make many.
	template string
	// unsynced leaves copies to the kernel to write; servers themselves are as durable as ever. For tests, too.
	unsynced bool
}

func (o Options) withDefaults() Options {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Data == "" {
		o.Data = filepath.Join(o.Dir, "data")
	}
	if o.Address == "" {
		o.Address = "127.0.0.1"
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.Grace, 10 * time.Second}, {&o.ReadyIn, time.Minute}, {&o.CopyIn, time.Hour}, {&o.Every, time.Second}, {&o.Keep, 24 * time.Hour}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.MissAfter <= 0 {
		o.MissAfter = 2 * o.Every
	}
	if o.AdriftAfter <= 0 {
		o.AdriftAfter = 5 * o.Every
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}
