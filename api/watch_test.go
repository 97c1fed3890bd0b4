package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/api"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

const tableType = "application/json;as=Table;v=v1;g=meta.k8s.io"

// event is one frame of a watch, as far as these tests look.
type event struct {
	Type   string
	Object struct {
		Kind     string
		Code     int
		Reason   string
		Message  string
		Metadata struct {
			Name, Namespace, ResourceVersion, UID string
			Labels, Annotations                   map[string]string
		}
		ColumnDefinitions []struct{ Name string }
		Rows              []struct{ Cells []any }
		Spec              struct{ Host string }
	}
}

func (e event) String() string {
	return e.Type + " " + e.Object.Metadata.Name + "@" + e.Object.Metadata.ResourceVersion
}

// watching is a watch under way.
type watching struct {
	t      testing.TB
	body   io.ReadCloser
	frames *json.Decoder
}

// watch opens a watch, which ends with the test at the latest.
func (s *served) watch(t testing.TB, path string, query url.Values, header ...string) *watching {
	t.Helper()
	query.Set("watch", "true")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path+"?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	w := &watching{t: t, body: answer.Body, frames: json.NewDecoder(answer.Body)}
	t.Cleanup(w.close)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("watch %s: %s", path, answer.Status)
	}
	return w
}

func (w *watching) close() {
	if err := w.body.Close(); err != nil && !errors.Is(err, context.Canceled) {
		w.t.Error(err)
	}
}

func (w *watching) next() event {
	w.t.Helper()
	var e event
	if err := w.frames.Decode(&e); err != nil {
		w.t.Fatalf("read an event: %v", err)
	}
	return e
}

// ends says that nothing more comes.
func (w *watching) ends() {
	w.t.Helper()
	var e event
	if err := w.frames.Decode(&e); !errors.Is(err, io.EOF) {
		w.t.Errorf("the watch goes on with %v, %v", e, err)
	}
}

func (w *watching) expect(want ...string) {
	w.t.Helper()
	for _, one := range want {
		if got := w.next().String(); got != one {
			w.t.Errorf("event %s, want %s", got, one)
		}
	}
}

func q(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func TestWatchForms(t *testing.T) {
	s := serve(t)
	s.make(t, "a", "default", map[string]string{"app": "x"}) // revision 1
	s.make(t, "b", "other", nil)                             // revision 2

	t.Run("without a revision it begins with what there is", func(t *testing.T) {
		w := s.watch(t, gateways1, q("timeoutSeconds", "1"))
		w.expect("ADDED a@1")
		w.ends()
	})
	t.Run("with a revision it begins behind it", func(t *testing.T) {
		w := s.watch(t, "/apis/edge.example/v1/gateways", q("resourceVersion", "1", "timeoutSeconds", "1"))
		w.expect("ADDED b@2")
		w.ends()
	})
	t.Run("initial events end with a bookmark that says so", func(t *testing.T) {
		w := s.watch(t, "/apis/edge.example/v1/gateways", q("sendInitialEvents", "true", "resourceVersionMatch", "NotOlderThan", "resourceVersion", "1", "allowWatchBookmarks", "true"))
		w.expect("ADDED a@1", "ADDED b@2")
		e := w.next()
		if e.Type != "BOOKMARK" || e.Object.Metadata.ResourceVersion != "2" || e.Object.Metadata.Annotations["k8s.io/initial-events-end"] != "true" || e.Object.Kind != "Gateway" {
			t.Errorf("bookmark %+v", e)
		}
	})
	t.Run("one object by its own path", func(t *testing.T) {
		w := s.watch(t, gateways1+"/a", q("timeoutSeconds", "1"))
		w.expect("ADDED a@1")
		w.ends()
	})
	t.Run("a table has its columns in the first event only", func(t *testing.T) {
		w := s.watch(t, "/apis/edge.example/v1/gateways", q(), "Accept", tableType)
		first, second := w.next(), w.next()
		if first.Object.Kind != "Table" || len(first.Object.ColumnDefinitions) != 5 || len(first.Object.Rows) != 1 || first.Object.Rows[0].Cells[0] != "a" {
			t.Errorf("first %+v", first)
		}
		if len(second.Object.ColumnDefinitions) != 0 || second.Object.Rows[0].Cells[0] != "b" {
			t.Errorf("second %+v", second)
		}
	})
	t.Run("metadata only", func(t *testing.T) {
		w := s.watch(t, gateways1, q(), "Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
		if e := w.next(); e.Object.Kind != "PartialObjectMetadata" || e.Object.Spec.Host != "" || e.Object.Metadata.Name != "a" {
			t.Errorf("event %+v", e)
		}
	})
	t.Run("a revision of the future is too large", func(t *testing.T) {
		answer, body := s.exchange(t, "GET", gateways1+"?watch=1&resourceVersion=99", "")
		if answer.StatusCode != http.StatusGatewayTimeout || !strings.Contains(body, `"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}]`) {
			t.Errorf("%s: %s", answer.Status, body)
		}
	})
	t.Run("server-sent events can be resumed by their ID", func(t *testing.T) {
		_, body := s.exchange(t, "GET", "/apis/edge.example/v1/gateways?timeoutSeconds=1", "", "Accept", "text/event-stream", "Last-Event-ID", "1")
		if !strings.HasPrefix(body, "event: ADDED\ndata: {\"type\":\"ADDED\"") || !strings.HasSuffix(body, "}\nid: 2\n\n") || strings.Count(body, "event:") != 1 {
			t.Errorf("events %q", body)
		}
	})
}

// TestWatchCompacted: a watch that begins before what is retained is told to list again, as an event.
func TestWatchCompacted(t *testing.T) {
	s := serve(t)
	for i := range 5 {
		s.make(t, resource.Name(fmt.Sprintf("g%d", i)), "default", nil)
	}
	if err := s.store.Compact(t.Context(), 3, time.Time{}); err != nil {
		t.Fatal(err)
	}
	w := s.watch(t, gateways1, q("resourceVersion", "1"))
	if e := w.next(); e.Type != "ERROR" || e.Object.Code != http.StatusGone || e.Object.Reason != "Expired" || !strings.HasPrefix(e.Object.Message, "too old resource version") {
		t.Errorf("event %+v", e)
	}
	w.ends()
	s.watch(t, gateways1, q("resourceVersion", "3", "timeoutSeconds", "1")).expect("ADDED g3@4", "ADDED g4@5")
}

// TestWatchTransitions: an object that begins to match is added, one that ceases is deleted as it was, at the revision of the change.
func TestWatchTransitions(t *testing.T) {
	s := serve(t)
	s.make(t, "a", "default", map[string]string{"app": "x"})
	w := s.watch(t, gateways1, q("labelSelector", "app=x", "resourceVersion", "1"))
	patch := func(text string) {
		t.Helper()
		if answer, body := s.exchange(t, "PATCH", gateways1+"/a", text, "Content-Type", merge); answer.StatusCode != http.StatusOK {
			t.Fatal(body)
		}
	}
	patch(`{"metadata":{"labels":{"app":"y"}},"spec":{"host":"later"}}`) // 2
	e := w.next()
	if e.String() != "DELETED a@2" || e.Object.Metadata.Labels["app"] != "x" || e.Object.Spec.Host != "x.example" {
		t.Errorf("left: %+v", e)
	}
	patch(`{"spec":{"host":"unseen"}}`)               // 3
	patch(`{"metadata":{"labels":{"app":"x"}}}`)      // 4
	patch(`{"metadata":{"annotations":{"any":"1"}}}`) // 5
	w.expect("ADDED a@4", "MODIFIED a@5")
	s.exchange(t, "DELETE", gateways1+"/a", "")
	w.expect("DELETED a@6")

	// Whoever comes back later is told no less: the first change of an object that cannot be judged is told as it is.
	w = s.watch(t, gateways1, q("labelSelector", "app=x", "resourceVersion", "1", "timeoutSeconds", "1"))
	w.expect("DELETED a@2", "ADDED a@4", "MODIFIED a@5", "DELETED a@6")
	w.ends()
}

// TestWatchState: a field that changes is selected by as labels are.
func TestWatchState(t *testing.T) {
	s := serve(t)
	s.make(t, "a", "default", nil)
	w := s.watch(t, gateways1, q("fieldSelector", "status.state=Pending"))
	w.expect("ADDED a@1")
	if _, err := s.Update(t.Context(), "driver", gatewayKey("a"), func(old *resource.Object) (*resource.Object, error) {
		next := old.Clone()
		next.State, next.StateSince = "Active", old.Created
		return next, nil
	}, api.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.expect("DELETED a@2")
}

func gatewayKey(name resource.Name) resource.Key {
	return resource.Key{Kind: "Gateway.edge.example", Namespace: "default", Name: name}
}

// TestWatchExact: under concurrent writes, every watch from a list's revision gets exactly the events that the feed has for its
// selector, in order, none twice and none missing.
func TestWatchExact(t *testing.T) {
	s := serve(t)
	const writers, writes = 4, 60
	var wait sync.WaitGroup
	var gate sync.RWMutex // nothing is written between a list and its watch, so that what is selected is known
	for n := range writers {
		wait.Go(func() { s.scribble(t, &gate, rand.New(rand.NewPCG(7, uint64(n))), writes) })
	}
	selectors := []string{"", "app=x", "app!=x", "app"}
	type begun struct {
		*watching
		from     resource.Revision
		selector string
	}
	var watches []begun
	s.make(t, "the-beginning", "default", nil)
	for range 3 {
		for _, selector := range selectors {
			gate.Lock()
			_, text := s.exchange(t, "GET", gateways1+"?limit=1&labelSelector="+url.QueryEscape(selector), "")
			var list struct {
				Metadata struct{ ResourceVersion string }
			}
			if err := json.Unmarshal([]byte(text), &list); err != nil {
				t.Fatal(err)
			}
			from, err := resource.ParseRevision(list.Metadata.ResourceVersion)
			if err != nil {
				t.Fatal(text, err)
			}
			w := s.watch(t, gateways1, q("labelSelector", selector, "resourceVersion", from.String()))
			gate.Unlock()
			watches = append(watches, begun{w, from, selector})
		}
	}
	wait.Wait()
	last := s.make(t, "the-end", "default", map[string]string{"app": "end"}).Revision
	for _, w := range watches {
		for i, want := range s.expected(t, w.from, last, w.selector) {
			if got := w.next().String(); got != want {
				t.Fatalf("watch of %q from %d: event %d is %s, want %s", w.selector, w.from, i, got, want)
			}
		}
	}
}

// scribble creates, relabels, changes and deletes gateways.
func (s *served) scribble(t testing.TB, gate *sync.RWMutex, random *rand.Rand, writes int) {
	for range writes {
		key := gatewayKey(resource.Name("g" + strconv.Itoa(random.IntN(6))))
		labels := []map[string]string{nil, {"app": "x"}, {"app": "y"}}[random.IntN(3)]
		var err error
		gate.RLock()
		switch random.IntN(4) {
		case 0:
			o := &resource.Object{Meta: resource.Meta{Key: key}, Spec: []byte(`{"host":"h"}`)}
			o.Labels = labels
			_, err = s.Create(t.Context(), "test", o, api.WriteOptions{})
		case 1:
			_, _, err = s.Delete(t.Context(), "test", key, api.DeleteOptions{})
		default:
			host := strconv.Itoa(random.IntN(1000))
			_, err = s.Update(t.Context(), "test", key, func(old *resource.Object) (*resource.Object, error) {
				next := old.Clone()
				next.Labels, next.Spec = labels, []byte(`{"host":"`+host+`"}`)
				return next, nil
			}, api.WriteOptions{})
		}
		gate.RUnlock()
		if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, api.ErrExists) {
			t.Error(err)
		}
	}
}

// expected computes from the whole feed what a watch must deliver.
func (s *served) expected(t testing.TB, from, to resource.Revision, selector string) (want []string) {
	stream, err := s.store.Watch(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stream.Close(); err != nil {
			t.Error(err)
		}
	}()
	matches := map[string]func(o *resource.Object) bool{
		"":       func(*resource.Object) bool { return true },
		"app=x":  func(o *resource.Object) bool { return o.Labels["app"] == "x" },
		"app!=x": func(o *resource.Object) bool { return o.Labels["app"] != "x" },
		"app":    func(o *resource.Object) bool { return o.Labels["app"] != "" },
	}[selector]
	selected := map[resource.Name]bool{}
	for at := resource.Revision(0); at < to; {
		b, err := stream.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at = b.Revision
		for _, c := range b.Objects {
			was, is := selected[c.Object.Name], !c.Removed && matches(c.Object)
			selected[c.Object.Name] = is
			if at <= from {
				continue
			}
			e := "MODIFIED"
			switch {
			case is && !was:
				e = "ADDED"
			case was && !is:
				e = "DELETED"
			case !is:
				continue
			}
			want = append(want, e+" "+string(c.Object.Name)+"@"+at.String())
		}
	}
	return want
}
