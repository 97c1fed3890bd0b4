package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// Pause has the take-up stand still, by this process's clock, or ends that.
func (s *Store) Pause(ctx context.Context, by string, length time.Duration) (p store.Pause, err error) {
	what := fmt.Sprintf("pause the take-up for %s", length)
	if bad := store.CheckPause(by, length); bad != nil {
		return p, fmt.Errorf("%s: %w", what, bad)
	}
	err = s.writer.do(ctx, what, func(w *writer) error {
		err := w.change(func() (func(), error) {
			now := draft.Plain(time.Now())
			next := store.Pause{}
			if length > 0 {
				next = store.Pause{By: by, Since: now, Until: now.Add(length)}
			}
			if have := w.pause.at(now); have.On() && length > 0 && have.Since.Before(now) { // a clock may have been set back
				next.Since = have.Since
			}
			if w.pause == (pause{}) && length == 0 {
				return nil, nil
			}
			return func() { w.pause = pause(next) }, w.writePause(next)
		})
		p = w.pause.at(time.Now())
		return err
	})
	if err != nil {
		return store.Pause{}, err
	}
	return p, nil
}

// Paused returns the pause, zero when there is none.
func (s *Store) Paused(ctx context.Context) (p store.Pause, err error) {
	err = s.writer.do(ctx, "read the pause of the take-up", func(w *writer) error {
		p = w.pause.at(time.Now())
		return nil
	})
	return p, err
}

// pause is the row, also one whose time has passed. Its Left is 0.
type pause store.Pause

// at is the pause at a moment.
func (p pause) at(now time.Time) store.Pause {
	if left := p.Until.Sub(draft.Plain(now)); left > 0 {
		p.Left = left
		return store.Pause(p)
	}
	return store.Pause{}
}

func (w *writer) writePause(p store.Pause) error {
	if p.Until.IsZero() {
		return w.c.exec("DELETE FROM pause")
	}
	q, err := w.c.prepare(`INSERT INTO pause (id, by_whom, since, until) VALUES (1, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET by_whom = excluded.by_whom, since = excluded.since, until = excluded.until`)
	if err != nil {
		return err
	}
	return q.bindText(p.By).bindInt(codec.Nanos(p.Since)).bindInt(codec.Nanos(p.Until)).exec()
}

// loadPause reads the row.
func (w *writer) loadPause() (p pause, err error) {
	q, err := w.c.prepare("SELECT by_whom, since, until FROM pause")
	if err != nil {
		return p, err
	}
	err = q.each(func() error {
		p = pause{By: q.text(0), Since: codec.Time(q.int(1)), Until: codec.Time(q.int(2))}
		return nil
	})
	return p, err
}
