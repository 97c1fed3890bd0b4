package host

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// look is what a server says of itself in one row, cheap enough for every second.
const look = `SELECT pg_is_in_recovery(),
	CASE WHEN pg_is_in_recovery() THEN greatest(coalesce(pg_last_wal_receive_lsn(), '0/0'), coalesce(pg_last_wal_replay_lsn(), '0/0'))
		ELSE pg_current_wal_lsn() END,
	CASE WHEN pg_is_in_recovery() THEN greatest((SELECT received_tli FROM pg_stat_wal_receiver), (SELECT timeline_id FROM pg_control_checkpoint()),
			(SELECT min_recovery_end_timeline FROM pg_control_recovery()))::text
		ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
	coalesce((SELECT status = 'streaming' FROM pg_stat_wal_receiver), false),
	coalesce((SELECT sender_host || ':' || sender_port FROM pg_stat_wal_receiver), ''),
	(SELECT system_identifier FROM pg_control_system())`

// pending asks for changed parameters that wait for a restart. It reads all settings, so it is not for every second.
const pending = `SELECT name FROM pg_settings WHERE pending_restart ORDER BY name`

// view is a row of look.
type view struct {
	Result
	receiving bool
	// upstream is where it receives from.
	upstream string
}

// writeTimeline has a standby write down which timeline its log has reached, when it may be a later one than it says. While a standby receives, it says so; one
// whose upstream is gone goes by its control file, which lags behind: and then it would be taken for one that has nothing of the upstream's, and be passed over for
// another one that has less. Having repeated all that it has, and made two restart points, its control file is up to date: the second finds nothing to do but that.
func (s *server) writeTimeline(ctx context.Context) error {
	session, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer session.leave()
	v, err := s.look(ctx, session)
	if err != nil || v.Role == Primary || v.receiving {
		return err
	}
	rows, err := session.rows(ctx, heard)
	if err != nil || rows[0][0] == "" {
		return err
	}
	latest, err := strconv.ParseUint(rows[0][0], 16, 32)
	if err != nil {
		return fmt.Errorf("the file of a timeline's history has the name %q: %w", rows[0][0], err)
	}
	if uint32(latest) <= v.Timeline {
		return nil
	}
	err = until(ctx, readyEvery, func() (bool, error) {
		rows, err := session.rows(ctx, idle)
		return err == nil && len(rows) > 0, err
	})
	if err != nil {
		return fmt.Errorf("it has not repeated all of its log: %w", err)
	}
	for range 2 {
		if _, err := session.rows(ctx, "CHECKPOINT"); err != nil {
			return err
		}
	}
	return nil
}

// heard is the latest timeline that a server has heard of, NULL when that is the first.
const heard = `SELECT left(max(name), 8) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{8}\.history$'`

// idle has a row when a standby has repeated all that it has, and waits for more.
const idle = `SELECT 1 FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event IN ('RecoveryWalStream', 'RecoveryRetrieveRetryInterval')`

// look asks a session.
func (s *server) look(ctx context.Context, in *session) (view, error) {
	rows, err := in.rows(ctx, look)
	if err != nil {
		return view{}, err
	}
	row := rows[0]
	v := view{Result: s.outline(), receiving: row[3] == "t", upstream: row[4]}
	v.Role, v.LSN, v.System = Primary, row[1], row[5]
	base := 16 // the name of a file of the log
	if row[0] == "t" {
		v.Role, base = Standby, 10
	}
	timeline, err := strconv.ParseUint(row[2], base, 32)
	if err != nil {
		return view{}, fmt.Errorf("timeline %q: %w", row[2], err)
	}
	v.Timeline = uint32(timeline)
	return v, nil
}

// outline is what is known without asking the server.
func (s *server) outline() Result {
	return Result{Server: s.name, Address: s.address(), Port: int(s.port.Load()), Fenced: s.fenced()}
}

// inspect asks for all of it.
func (s *server) inspect(ctx context.Context) (Result, error) {
	session, err := s.connect(ctx)
	if err != nil {
		return Result{}, err
	}
	defer session.leave()
	v, err := s.look(ctx, session)
	if err != nil {
		return Result{}, err
	}
	v.PendingRestart, err = pendingIn(ctx, session)
	return v.Result, err
}

func pendingIn(ctx context.Context, session *session) (names []string, err error) {
	rows, err := session.rows(ctx, pending)
	for _, row := range rows {
		names = append(names, row[0])
	}
	return names, err
}

// inRecovery says whether the server repeats a log, be it another's or an archive's.
func (s *server) inRecovery(ctx context.Context) (bool, error) {
	rows, err := s.query(ctx, "SELECT pg_is_in_recovery()")
	return err == nil && rows[0][0] == "t", err
}

// awaitPrimary waits until the server takes writes.
func (s *server) awaitPrimary(ctx context.Context) error {
	return until(ctx, readyEvery, func() (bool, error) {
		recovering, err := s.inRecovery(ctx)
		if pid, _ := s.postmaster(); err != nil && pid == 0 {
			return false, fmt.Errorf("it has ended: %s", s.complaint())
		}
		return err == nil && !recovering, nil
	})
}

// reconfigure changes the state, writes the configuration, and has a running server read it. A change that the server would not
// start with is refused as a whole.
func (s *server) reconfigure(ctx context.Context, change func()) error {
	before := s.state
	change()
	if err := s.tryConfiguration(); err != nil {
		s.state = before
		return fmt.Errorf("%w: the parameters are refused: %w", errTerminal, err)
	}
	if err := s.save(); err != nil {
		return err
	}
	if err := s.configure(s.data()); err != nil {
		return err
	}
	if pid, _ := s.postmaster(); pid == 0 {
		return nil
	}
	return s.reload(ctx)
}

// reload returns when new sessions have the configuration and others have been told.
func (s *server) reload(ctx context.Context) error {
	const loaded = "SELECT pg_conf_load_time()"
	before, err := s.query(ctx, loaded)
	if err != nil {
		return err
	}
	if _, err := s.query(ctx, "SELECT pg_reload_conf()"); err != nil {
		return err
	}
	return until(ctx, readyEvery, func() (bool, error) {
		now, err := s.query(ctx, loaded)
		return err == nil && now[0][0] != before[0][0], err
	})
}

// sameUpstream compares what is followed with what is to be.
func sameUpstream(a, b string) bool { return a != "" && strings.EqualFold(a, b) }
