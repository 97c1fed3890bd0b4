package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/setpointhq/setpoint/resource"
)

// frames writes the events of a watch, as a stream of JSON objects or as server-sent events. It gathers what comes at once, and
// hands it over by flush; a client that does not take it in time is given up.
type frames struct {
	c       *call
	table   *table // nil unless rows are wanted
	meta    bool
	events  bool // server-sent
	headed  bool // the columns have been sent
	buffer  []byte
	control *http.ResponseController
	// broken: nothing more reaches the client.
	broken bool
}

// flushAt is how much is gathered at most.
const flushAt = 64 << 10

func (c *call) frames() (*frames, error) {
	f := &frames{c: c, events: wantsEvents(c.r), control: http.NewResponseController(c.w)}
	s, err := c.shape()
	if err != nil {
		return nil, err
	}
	f.meta = s == asMetadata
	if s == asTable {
		f.table, err = c.table()
	}
	return f, err
}

// start sends the header, so that the client knows that the watch has begun.
func (f *frames) start() {
	media := "application/json"
	if f.events {
		media = eventStream
	}
	f.c.w.Header().Set("Content-Type", media)
	f.c.w.WriteHeader(http.StatusOK)
	f.push()
}

// event adds an event about an object.
func (f *frames) event(kind string, o *resource.Object) {
	f.open(kind)
	switch {
	case f.table != nil:
		f.table.now = time.Now()
		f.buffer = f.table.appendRows(f.buffer, []*resource.Object{o}, listMeta{at: o.Revision}, !f.headed)
		f.headed = true
	case f.meta:
		f.buffer = f.c.appendMetadata(f.buffer, o)
	default:
		f.buffer = f.c.appendWhole(f.buffer, o)
	}
	f.shut(o.Revision)
}

// bookmark adds an event that only says up to which revision the client has seen everything.
func (f *frames) bookmark(at resource.Revision, initialEnd bool) {
	f.open("BOOKMARK")
	d := f.c.target.def
	apiVersion, kind := d.APIVersion(), d.Kind
	if f.meta {
		apiVersion, kind = "meta.k8s.io/v1", "PartialObjectMetadata"
	}
	body := `{"kind":"` + kind + `","apiVersion":"` + apiVersion + `","metadata":{"resourceVersion":"` + at.String() + `","creationTimestamp":null`
	if initialEnd {
		body += `,"annotations":{"` + metav1.InitialEventsAnnotationKey + `":"true"}`
	}
	body += "}}"
	if f.table != nil {
		body = `{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"` + at.String() +
			`"},"columnDefinitions":[],"rows":[{"cells":[],"object":` + body + `}]}`
	}
	f.buffer = append(f.buffer, body...)
	f.shut(at)
}

// fail adds the last event, which says why there are no more, and sends it.
func (f *frames) fail(s *metav1.Status) {
	f.open("ERROR")
	text := encode(s)
	f.buffer = append(f.buffer, text[:len(text)-1]...)
	f.shut(0)
	f.flush()
}

func (f *frames) open(kind string) {
	if f.events {
		f.buffer = append(f.buffer, "event: "+kind+"\ndata: "...)
	}
	f.buffer = append(f.buffer, `{"type":"`+kind+`","object":`...)
}

func (f *frames) shut(at resource.Revision) {
	f.buffer = append(f.buffer, "}\n"...)
	if f.events {
		if at != 0 {
			f.buffer = append(strconv.AppendUint(append(f.buffer, "id: "...), uint64(at), 10), '\n')
		}
		f.buffer = append(f.buffer, '\n')
	}
	if len(f.buffer) >= flushAt {
		f.flush()
	}
}

// flush hands over what has been gathered, and reports whether the client still takes it.
func (f *frames) flush() bool {
	if len(f.buffer) > 0 && !f.broken {
		f.push()
		f.buffer = f.buffer[:0]
	}
	return !f.broken
}

// end lets the connection be used again.
func (f *frames) end() {
	if f.broken {
		return
	}
	if err := f.control.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		f.c.h.Logger.Debug("lifting the deadline of a watch failed", "path", f.c.r.URL.Path, "error", err)
	}
}

func (f *frames) push() {
	err := f.control.SetWriteDeadline(time.Now().Add(f.c.h.WriteTimeout))
	if errors.Is(err, http.ErrNotSupported) {
		err = nil // not a network connection
	}
	if err == nil {
		_, err = f.c.w.Write(f.buffer)
	}
	if err == nil {
		err = f.control.Flush()
	}
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		f.broken = true
		f.c.h.Logger.Debug("a watcher is gone, or too slow", "path", f.c.r.URL.Path, "error", err)
	}
}
