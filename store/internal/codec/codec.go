package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// ErrDamaged says that bytes are not what an encoder of this package wrote.
var ErrDamaged = errors.New("damaged body")

// writer appends. Its zero value is ready; b is what has been written.
type writer struct{ b []byte }

func (w *writer) uint(n uint64) { w.b = binary.AppendUvarint(w.b, n) }
func (w *writer) int(n int64)   { w.b = binary.AppendVarint(w.b, n) }
func (w *writer) byte(n byte)   { w.b = append(w.b, n) }

func (w *writer) bool(v bool) {
	if v {
		w.byte(1)
		return
	}
	w.byte(0)
}

func (w *writer) text(s string) {
	w.uint(uint64(len(s)))
	w.b = append(w.b, s...)
}

// bytes keeps nil apart from empty.
func (w *writer) bytes(p []byte) {
	if p == nil {
		w.uint(0)
		return
	}
	w.uint(uint64(len(p)) + 1)
	w.b = append(w.b, p...)
}

func (w *writer) time(t time.Time) { w.int(Nanos(t)) }

func (w *writer) key(k resource.Key) {
	w.text(string(k.Kind))
	w.text(string(k.Namespace))
	w.text(string(k.Name))
}

// Nanos is the stored form of a time: nanoseconds since 1970, 0 for the zero time.
func Nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// Time reads what [Nanos] made. It is in UTC.
func Time(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// reader takes apart. After a fault everything reads as zero, and err says where it began.
type reader struct {
	b   []byte
	at  int
	err error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s at byte %d of %d", ErrDamaged, what, r.at, len(r.b))
	}
	r.at = len(r.b)
}

func (r *reader) uint() uint64 {
	n, size := binary.Uvarint(r.b[r.at:])
	if size <= 0 {
		r.fail("bad number")
		return 0
	}
	r.at += size
	return n
}

func (r *reader) int() int64 {
	n, size := binary.Varint(r.b[r.at:])
	if size <= 0 {
		r.fail("bad number")
		return 0
	}
	r.at += size
	return n
}

func (r *reader) byte() byte {
	if r.at >= len(r.b) {
		r.fail("no more bytes")
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

func (r *reader) bool() bool { return r.byte() != 0 }

// take returns the next n bytes. They are part of the body, whose capacity is clipped, so that appending copies.
func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)-r.at) {
		r.fail("length beyond the end")
		return nil
	}
	p := r.b[r.at : r.at+int(n) : r.at+int(n)]
	r.at += int(n)
	return p
}

func (r *reader) text() string { return string(r.take(r.uint())) }

func (r *reader) bytes() []byte {
	n := r.uint()
	if n == 0 {
		return nil
	}
	return r.take(n - 1)
}

func (r *reader) time() time.Time { return Time(r.int()) }

func (r *reader) key() resource.Key {
	return resource.Key{Kind: resource.KindID(r.text()), Namespace: resource.Namespace(r.text()), Name: resource.Name(r.text())}
}

// count reads the length of a list whose items take at least one byte each.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.b)-r.at) {
		r.fail("list longer than the body")
		return 0
	}
	return int(n)
}

// end reports a fault, also that of bytes left over.
func (r *reader) end() error {
	if r.err == nil && r.at != len(r.b) {
		r.fail("bytes left over")
	}
	return r.err
}
