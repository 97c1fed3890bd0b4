package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// What a contender is told by its environment.
const (
	contenderURL  = "SETPOINT_TEST_URL"
	contenderName = "SETPOINT_TEST_NAME"
	contenderTime = "SETPOINT_TEST_TIME"
	contenderSeed = "SETPOINT_TEST_SEED"
)

// Registers are objects that everybody writes; those of a pair are written together only.
const (
	registers        = 4
	pairLeft         = registers
	pairRight        = registers + 1
	contenderWriters = 4
)

func registerKey(i int) resource.Key {
	return resource.Key{Kind: "Register.postgres.example", Namespace: "ns", Name: resource.Name(fmt.Sprint("r", i))}
}

// act is one operation on one register: what was asked, what came of it, and when, by the machine's clock that all processes share.
type act struct {
	Client   int    `json:"c"`
	Register int    `json:"k"`
	Kind     string `json:"o"` // read, write
	// Expect and Value are what a write asked for, Cause is by what it is found in the feed.
	Expect uint64 `json:"e,omitempty"`
	Value  int    `json:"v"`
	Cause  string `json:"w,omitempty"`
	// Outcome is done, conflict, refused (nothing was written, nobody looked) or unknown; Revision is the one it got, read, or lost against.
	Outcome  string `json:"r"`
	Revision uint64 `json:"n"`
	Call     int64  `json:"a"`
	Return   int64  `json:"z"`
}

// told is what a contender reports at its end.
type told struct {
	Acts []act `json:"acts"`
	// Scans counts what was read whole, Torn the times that half a commit was seen.
	Scans, Torn int
	Watchers    []watched `json:"watchers"`
}

// watched is what a watcher saw: every commit from the first one on, as a digest.
type watched struct {
	Revision uint64 `json:"rev"`
	Digest   string `json:"digest"`
	Resumed  int    `json:"resumed"`
}

// monotonic is the time of the machine, the same in all of its processes.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // there is such a clock on Linux
	}
	return ts.Nano()
}

// contend is the part of a process that commits, reads and watches on a database that others do the same on.
func contend(ctx context.Context, out io.Writer) error {
	span, err := time.ParseDuration(os.Getenv(contenderTime))
	if err != nil {
		return err
	}
	seed, err := strconv.ParseUint(os.Getenv(contenderSeed), 10, 64)
	if err != nil {
		return err
	}
	s, err := Open(ctx, Options{URL: os.Getenv(contenderURL), Name: os.Getenv(contenderName), Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), RingBytes: 64 << 10})
	if err != nil {
		return err
	}
	c := &contender{store: s, ctx: ctx, acts: make([][]act, contenderWriters)}
	if err := c.run(span, seed, out); err != nil {
		return errors.Join(err, s.Close())
	}
	return s.Close()
}

type contender struct {
	store *Store
	ctx   context.Context
	acts  [][]act
	scans int
	torn  int
}

func (c *contender) run(span time.Duration, seed uint64, out io.Writer) error {
	watching, unwatch := context.WithCancel(context.Background())
	defer unwatch()
	watchers := []*feedWatcher{newFeedWatcher(c.store, seed, false), newFeedWatcher(c.store, seed, true)}
	var all sync.WaitGroup
	failed := make(chan error, len(watchers)+contenderWriters)
	for _, w := range watchers {
		all.Go(func() { failed <- w.end(w.run(watching)) })
	}
	busy, stop := context.WithTimeout(c.ctx, span)
	defer stop()
	var writers sync.WaitGroup
	for i := range contenderWriters {
		writers.Go(func() { failed <- c.write(busy, i, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	writers.Wait()
	if err := printJSON(out, c.store.Revision()); err != nil {
		return err
	}
	<-c.ctx.Done() // the parent says that all writers everywhere have ended
	last, err := c.store.Scan(context.Background(), func(store.Batch) error { return nil })
	if err != nil {
		return err
	}
	for _, w := range watchers {
		w.await(last)
	}
	unwatch()
	all.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	sum := told{Scans: c.scans, Torn: c.torn}
	for _, list := range c.acts {
		sum.Acts = append(sum.Acts, list...)
	}
	for _, w := range watchers {
		sum.Watchers = append(sum.Watchers, watched{uint64(w.at), hex.EncodeToString(w.digest), w.resumed})
	}
	return printJSON(out, sum)
}

// write does one thing after another, until the time is over.
func (c *contender) write(ctx context.Context, client int, rng *rand.Rand) error {
	known := map[int]uint64{} // the last revision seen of each register
	for n := 0; ctx.Err() == nil; n++ {
		value := client + 100*n + 100000*os.Getpid()
		switch rng.IntN(10) {
		case 0, 1, 2:
			if err := c.read(client, rng.IntN(registers+2), known); err != nil {
				return err
			}
		case 3:
			if client != 0 {
				continue
			}
			if err := c.scan(); err != nil {
				return err
			}
		case 4, 5:
			c.swap(client, value, known, pairLeft, pairRight)
		case 6:
			c.swap(client, value, known, rng.IntN(registers), pairLeft, pairRight)
		default:
			c.swap(client, value, known, rng.IntN(registers))
		}
	}
	return nil
}

func (c *contender) read(client, register int, known map[int]uint64) error {
	a := act{Client: client, Register: register, Kind: "read", Outcome: "done", Call: monotonic()}
	o, err := c.store.Object(context.Background(), registerKey(register))
	a.Return = monotonic()
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return err
	default:
		a.Revision = uint64(o.Revision)
		if a.Value, err = strconv.Atoi(string(o.Spec)); err != nil {
			return err
		}
	}
	known[register] = a.Revision
	c.acts[client] = append(c.acts[client], a)
	return nil
}

// swap writes registers in one commit, each on condition that it is as it was last seen.
func (c *contender) swap(client, value int, known map[int]uint64, which ...int) {
	tx := store.Transaction{Writer: store.Writer{Name: "controller/test"}, Cause: store.Cause{Text: fmt.Sprintf("%d %d", os.Getpid(), value)}}
	for _, i := range which {
		key := registerKey(i)
		tx.Objects = append(tx.Objects, store.ObjectWrite{Expect: resource.Revision(known[i]), Object: &resource.Object{
			Meta: resource.Meta{Key: key, UID: resource.UID("uid-" + string(key.Name)), Generation: 1, Created: crateEpoch}, Spec: []byte(strconv.Itoa(value))}})
	}
	call := monotonic()
	r, err := c.store.Commit(context.Background(), tx)
	back := monotonic()
	var e *store.CommitError
	if err != nil && !errors.As(err, &e) {
		panic(err) // Commit returns nothing else
	}
	for _, i := range which {
		a := act{Client: client, Register: i, Kind: "write", Expect: known[i], Value: value, Cause: tx.Cause.Text, Call: call, Return: back, Outcome: "done", Revision: uint64(r.Revision)}
		switch {
		case err == nil:
			known[i] = uint64(r.Revision)
		case errors.Is(err, store.ErrConflict) && e.Key == registerKey(i):
			a.Outcome, a.Revision = "conflict", uint64(e.Actual)
			known[i] = uint64(e.Actual)
		case errors.Is(err, store.ErrUnknown):
			a.Outcome = "unknown"
		default:
			a.Outcome = "refused"
		}
		c.acts[client] = append(c.acts[client], a)
	}
}

// scan reads everything, in which the two of a pair are the same.
func (c *contender) scan() error {
	values := map[resource.Key]string{}
	_, err := c.store.Scan(context.Background(), func(b store.Batch) error {
		for _, o := range b.Objects {
			values[o.Object.Key] = fmt.Sprint(o.Object.Revision, " ", string(o.Object.Spec))
		}
		return nil
	})
	c.scans++
	if values[registerKey(pairLeft)] != values[registerKey(pairRight)] {
		c.torn++
	}
	return err
}

// feedWatcher watches from the first commit on.
type feedWatcher struct {
	store   *Store
	rng     *rand.Rand
	resumes bool // stops at random, and goes on from where it was

	mu      sync.Mutex
	moved   *sync.Cond
	ended   bool
	at      resource.Revision
	digest  []byte
	resumed int
}

func newFeedWatcher(s *Store, seed uint64, resumes bool) *feedWatcher {
	w := &feedWatcher{store: s, rng: rand.New(rand.NewPCG(seed, 100)), resumes: resumes}
	w.moved = sync.NewCond(&w.mu)
	return w
}

// end says that a watcher has ended, and how.
func (w *feedWatcher) end(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.moved.Broadcast()
	return err
}

// await returns when a watcher has seen a commit, or has ended.
func (w *feedWatcher) await(rev resource.Revision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.at < rev && !w.ended {
		w.moved.Wait()
	}
}

// saw notes the next commit.
func (w *feedWatcher) saw(b store.Batch) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b.Revision != w.at+1 {
		return fmt.Errorf("revision %d follows %d", b.Revision, w.at)
	}
	w.at, w.digest = b.Revision, digestBatch(w.digest, b)
	w.moved.Broadcast()
	return nil
}

func (w *feedWatcher) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := w.stream(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

func (w *feedWatcher) stream(ctx context.Context) (err error) {
	stream, err := w.store.Watch(ctx, w.at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	for !w.resumes || w.rng.IntN(50) != 0 {
		b, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		if err := w.saw(b); err != nil {
			return err
		}
	}
	w.resumed++
	return nil
}

// digestBatch adds a commit to a digest of all before it.
func digestBatch(digest []byte, b store.Batch) []byte {
	h := sha256.New()
	h.Write(digest)
	fmt.Fprintln(h, b.Revision, b.At.UnixNano(), b.Writer.Name, b.Cause.Text)
	for _, o := range b.Objects {
		fmt.Fprintln(h, o.Object.Key, o.Object.UID, o.Object.Revision, o.Created, o.Removed, string(o.Object.Spec))
	}
	return h.Sum(nil)
}
