package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"
)

// EventType tells changes apart.
type EventType string

// The event types.
const (
	Added    EventType = "ADDED"
	Modified EventType = "MODIFIED"
	Deleted  EventType = "DELETED"
	// Bookmark carries a position and nothing else.
	Bookmark EventType = "BOOKMARK"
	// Synced ends what [Client.Follow] found when it listed: the reader has seen everything that exists. Its Object is nil.
	Synced EventType = "SYNCED"
)

// Event is one change.
type Event struct {
	Type EventType
	// Object is the new form; for a deleted one the last it had.
	Object *Object
	// Table is set, instead of Object, in a watch of tables: one row, with columns in the first event of a connection.
	Table *Table
	// Raw is the object or table as it was served.
	Raw json.RawMessage
}

// WatchOptions select what is watched. Limit and Continue are not used.
type WatchOptions struct {
	ListOptions
	// From is the position after which changes are wanted: the Version of a list or an object. "" is the present one.
	From Version
	// Tables asks for events as tables.
	Tables bool
	// Bookmarks delivers bookmarks too. They are always used to resume, and not delivered otherwise.
	Bookmarks bool
	// Lost, when set, is told of every connection that broke, before the next is tried.
	Lost func(error)
}

// connectionTime is how long the server is asked to keep one connection of a watch; it is renewed by itself. So a connection
// that died without a trace is noticed in the end.
const connectionTime = 5 * time.Minute

// Watch streams the changes after a position, across any number of connections. The loop ends when it is left, and after the first error:
// that of ctx; [ErrExpired], when the position is not retained any more (list again, or use [Client.Follow]); a refusal; or
// [ErrUnavailable], when the server was never reached.
func (c *Client) Watch(ctx context.Context, k Kind, o WatchOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := watcher{client: c, kind: k, options: o, position: o.From, yield: yield}
		if err := w.run(ctx); err != nil && !errors.Is(err, errLeft) {
			yield(Event{}, err)
		}
	}
}

// errLeft: the loop over the watch was left.
var errLeft = errors.New("the loop was left")

// watcher is one watch under way.
type watcher struct {
	client   *Client
	kind     Kind
	options  WatchOptions
	position Version
	yield    func(Event, error) bool
	// reached: some connection was made.
	reached bool
}

// run keeps a connection, pausing longer from failure to failure.
func (w *watcher) run(ctx context.Context) error {
	if w.position == "" {
		o := w.options.ListOptions
		o.Limit, o.Continue = 1, ""
		present, err := w.client.List(ctx, w.kind, o)
		if err != nil {
			return err
		}
		w.position = present.Version
	}
	for failures := 0; ; failures++ {
		before, began := w.position, w.reached
		err := w.connection(ctx)
		switch {
		case errors.Is(err, errLeft): // first of all: whoever has left is told nothing more
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("watch %s: %w", w.kind, context.Cause(ctx))
		case errors.Is(err, ErrExpired), w.final(err):
			return err
		case !w.reached && failures+1 >= w.client.config.Attempts:
			return err
		}
		if w.position != before || !began && w.reached {
			failures = 0
		}
		if w.options.Lost != nil && err != nil {
			w.options.Lost(err)
		}
		if err := w.client.config.Pause(ctx, max(w.client.backoff(failures+1), retryAfter(err))); err != nil {
			return fmt.Errorf("watch %s: %w", w.kind, err)
		}
	}
}

// final reports whether the server has refused the watch, so that another connection would not help.
func (w *watcher) final(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Code < 500 && !mayPass(err, request{repeatable: true})
}

// connection streams until the server ends it, which is no error, or it breaks.
func (w *watcher) connection(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectionTime+w.client.config.Timeout)
	defer cancel()
	body, err := w.open(ctx)
	if err != nil {
		return err
	}
	w.reached = true
	frames := json.NewDecoder(body)
	for {
		var f frame
		if err := frames.Decode(&f); err != nil {
			return w.ended(err, body.Close())
		}
		if err := w.deliver(f); err != nil {
			return errors.Join(err, closing(err, body.Close()))
		}
	}
}

func (w *watcher) ended(err, closed error) error {
	if errors.Is(err, io.EOF) {
		return closed
	}
	return fmt.Errorf("watch %s: %w: the connection to %s broke: %w", w.kind, ErrUnavailable, w.client.Server(), errors.Join(err, closed))
}

// closing drops the error of closing a body whose reader has left it unfinished: that is what closing it is for.
func closing(reason, err error) error {
	if errors.Is(reason, errLeft) {
		return nil
	}
	return err
}

func (w *watcher) open(ctx context.Context) (io.ReadCloser, error) {
	q := w.options.query()
	q.Del("limit")
	q.Del("continue")
	q.Set("watch", "1")
	q.Set("allowWatchBookmarks", "true")
	q.Set("timeoutSeconds", fmt.Sprint(int(connectionTime.Seconds())))
	setText(q, "resourceVersion", string(w.position))
	r := request{
		op: "watch " + w.kind.String(), method: http.MethodGet, path: w.kind.path(w.options.Namespace), query: q,
		stream: true, repeatable: true,
	}
	if w.options.Tables {
		r.accept = mediaTable
	}
	reply, err := w.client.send(ctx, r)
	if err != nil {
		return nil, err
	}
	return reply.Body, nil
}

// frame is one event on the wire.
type frame struct {
	Type   EventType       `json:"type"`
	Object json.RawMessage `json:"object"`
}

// deliver hands an event on and moves the position behind it.
func (w *watcher) deliver(f frame) error {
	if f.Type == "ERROR" {
		var wire wireStatus
		if err := json.Unmarshal(f.Object, &wire); err != nil {
			return fmt.Errorf("watch %s: the server's error cannot be read: %w", w.kind, err)
		}
		return wire.err("watch "+w.kind.String(), http.StatusInternalServerError)
	}
	e := Event{Type: f.Type, Raw: f.Object}
	position, err := w.decode(&e, f)
	if err != nil {
		return fmt.Errorf("watch %s: an event cannot be read: %w", w.kind, err)
	}
	if (f.Type != Bookmark || w.options.Bookmarks) && !w.yield(e, nil) {
		return errLeft
	}
	if position != "" {
		w.position = position
	}
	return nil
}

func (w *watcher) decode(e *Event, f frame) (Version, error) {
	if !w.options.Tables {
		e.Object = &Object{}
		err := json.Unmarshal(f.Object, e.Object)
		return e.Object.Metadata.ResourceVersion, err
	}
	var wire wireTable
	if err := json.Unmarshal(f.Object, &wire); err != nil {
		return "", err
	}
	e.Table = wire.table()
	position := e.Table.Version
	for _, row := range e.Table.Rows {
		position = row.Object.Metadata.ResourceVersion
	}
	return position, nil
}
