package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// watch begins to ask after the server's health. The caller has the server's turn, or is alone with it.
func (s *server) watch() {
	if s.watching != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.host.ctx)
	s.watched, s.watching = cancel, make(chan struct{})
	w := &watch{server: s, health: Health{Server: s.name, Address: s.address(), Answered: time.Now()}, received: time.Now(), done: s.watching}
	go w.run(ctx)
}

// unwatch ends the asking, and returns when it has ended.
func (s *server) unwatch() {
	if s.watching == nil {
		return
	}
	s.watched()
	<-s.watching
	s.watching = nil
}

// watch asks one server how it is, again and again. It belongs to one goroutine.
type watch struct {
	server  *server
	session *session
	health  Health
	// received is when the server last led, received or was worked on.
	received time.Time
	// rounds counts. judged says that something was reported.
	rounds int
	judged bool
	done   chan struct{}
}

// seldom is how many rounds lie between two looks at what hardly ever changes.
const seldom = 10

func (w *watch) run(ctx context.Context) {
	defer close(w.done)
	defer w.hangUp()
	ticker := time.NewTicker(w.server.host.options.Every)
	defer ticker.Stop()
	for {
		w.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-w.server.worked:
		}
	}
}

func (w *watch) hangUp() {
	if w.session != nil {
		w.session.leave()
		w.session = nil
	}
}

// round asks once, and reports.
func (w *watch) round(ctx context.Context) {
	asked, planned := time.Now(), w.server.plans()
	err := w.ask(ctx)
	if ctx.Err() != nil {
		return
	}
	h := &w.health
	h.Starts = w.server.starts.Load()
	h.Address, h.Planned, h.Fenced, h.Problem = w.server.address(), cmp.Or(w.server.plans(), planned), w.server.fenced(), ""
	if err == nil {
		h.Planned = w.server.plans() // what was planned is over, or has not begun
	}
	if err == nil {
		h.Answered, h.Answering = asked, true
	} else {
		w.hangUp()
		h.Problem = err.Error()
		silent := !h.Running || time.Since(h.Answered) >= w.server.host.options.MissAfter
		if silent {
			h.Answering, h.Receiving = false, false
		}
		if !silent && !h.Answering && !w.judged {
			return // it has not been heard of since the host began to ask, and has some time left
		}
	}
	w.judge(asked)
	w.server.host.board.report(*h)
	if w.rounds++; w.rounds%(6*seldom) == 0 {
		w.trimLog()
		w.trimArchive(ctx)
	}
}

// judge says whether the server is adrift. One that was heard of or worked on a moment ago has some time left.
func (w *watch) judge(asked time.Time) {
	h := &w.health
	if w.judged = true; h.Receiving || h.Role != Standby || !h.Answering || h.Planned != "" {
		w.received = asked
	}
	h.Adrift = asked.Sub(w.received) >= w.server.host.options.AdriftAfter
}

// trimArchive has a primary's archive hold what somebody may need, and no more.
func (w *watch) trimArchive(ctx context.Context) {
	s := w.server
	if !s.made() || s.standby() {
		return
	}
	archive, err := readArchive(s.data())
	if err == nil {
		err = s.host.pruneArchive(ctx, archive)
	}
	if err != nil && ctx.Err() == nil {
		s.host.options.Log.Warn("an archive cannot be trimmed", "server", s.name, "error", err)
	}
}

// ask asks the server. A frozen postmaster takes no new connections, whatever the one that is kept says.
func (w *watch) ask(ctx context.Context) error {
	pid, frozen := w.server.postmaster()
	w.health.Running = pid != 0
	switch {
	case pid != 0 && w.server.fenced():
		return w.enforce(ctx)
	case pid == 0 && w.server.fenced():
		return errFenced
	case pid == 0:
		return errors.New("there is no process")
	case frozen:
		return fmt.Errorf("process %d is stopped", pid)
	}
	ctx, cancel := context.WithTimeout(ctx, w.server.host.options.Every)
	defer cancel()
	fresh := w.session == nil
	if fresh {
		var err error
		if w.session, err = w.server.connect(ctx); err != nil {
			return err
		}
	}
	v, err := w.server.look(ctx, w.session)
	if err != nil {
		return err
	}
	if fresh || w.rounds%seldom == 0 {
		if w.health.PendingRestart, err = pendingIn(ctx, w.session); err != nil {
			return err
		}
	}
	w.health.Role, w.health.LSN, w.health.Timeline = v.Role, v.LSN, v.Timeline
	w.health.Receiving, w.health.Upstream = v.receiving, v.upstream
	return nil
}

// enforce ends a server that runs although it is fenced, unless somebody is working on it.
func (w *watch) enforce(ctx context.Context) error {
	_, done, err := w.server.workNow(ctx, "enforcing a fence")
	if err != nil {
		return err
	}
	defer done()
	if !w.server.fenced() {
		return nil
	}
	w.server.host.options.Log.Warn("a fenced server was running, and is killed", "server", w.server.name)
	if err := w.server.kill(); err != nil {
		return err
	}
	w.health.Running = false
	return errFenced
}

// mostLog is how large a server's log may grow before its former part is put aside, over the part that was put aside before.
const mostLog = 16 << 20

// trimLog copies and cuts the log, which the server has open. What it writes in between is lost.
func (w *watch) trimLog() {
	path := w.server.log()
	if sizeOf(path) < mostLog {
		return
	}
	err := func() (err error) {
		from, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, from.Close()) }()
		to, err := os.OpenFile(path+".1", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(to, from)
		return errors.Join(err, to.Close(), os.Truncate(path, 0))
	}()
	if err != nil {
		w.server.host.options.Log.Warn("a log cannot be cut", "file", filepath.Base(path), "server", w.server.name, "error", err)
	}
}
