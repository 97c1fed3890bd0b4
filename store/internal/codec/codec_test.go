package codec

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// The generators make what the types allow, awkward texts included.
var (
	texts = rapid.OneOf(rapid.SampledFrom([]string{"", "a", "é<&>\u2028", "\"\\/\b\f\n\r\t\x00\x1f", "日本", "\xff\xfe", "x/y"}), rapid.String())
	bytes = rapid.Custom(func(t *rapid.T) []byte {
		if rapid.Bool().Draw(t, "nil") {
			return nil
		}
		return append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes")...)
	})
	documents = rapid.SampledFrom([]json.RawMessage{nil, json.RawMessage(`{}`), json.RawMessage(`{"a":[1,2.5,"x"]}`), json.RawMessage(`null`)})
	times     = rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		return time.Unix(0, rapid.Int64Range(1, 1<<61).Draw(t, "nanos")).UTC()
	})
	keys = rapid.Custom(func(t *rapid.T) resource.Key {
		return resource.Key{Kind: resource.KindID(texts.Draw(t, "kind")), Namespace: resource.Namespace(texts.Draw(t, "namespace")), Name: resource.Name(texts.Draw(t, "name"))}
	})
)

var commands = rapid.Custom(func(t *rapid.T) command.Command {
	text := func() string { return texts.Draw(t, "text") }
	return command.Command{
		Slot:   command.Slot{Owner: resource.UID(text()), Adapter: command.AdapterName(text()), Key: text()},
		Object: keys.Draw(t, "object"), Controller: text(), Intent: rapid.Uint64().Draw(t, "intent"), Token: command.Token(text()),
		Destination: text(), Unit: text(), Request: bytes.Draw(t, "request"), Deadline: times.Draw(t, "deadline"), Phase: command.Phase(text()),
		Attempt: rapid.Int().Draw(t, "attempt"), NotBefore: times.Draw(t, "notBefore"), Result: bytes.Draw(t, "result"), Handle: text(),
		Class: command.Class(text()), Message: text(), Unknown: rapid.Bool().Draw(t, "unknown"), Created: times.Draw(t, "created"), Changed: times.Draw(t, "changed"),
	}
})

// TestEveryField fails when the type has a field that the codec does not know: the generator leaves it zero, so count them.
func TestEveryField(t *testing.T) {
	for _, c := range []struct {
		v    any
		want int
	}{{command.Command{}, 21}, {store.Signal{}, 12}, {store.Timer{}, 5}, {store.Batch{}, 9}, {resource.Meta{}, 9}, {store.ObjectChange{}, 3}, {store.CommandChange{}, 2},
		{resource.Attributes{}, 11}, {resource.Action{}, 14}, {resource.ActionStep{}, 7}, {resource.ActionEnd{}, 6}, {resource.StandingSignal{}, 5}, {resource.Owner{}, 6}, {resource.Condition{}, 6}, {resource.Wait{}, 7}, {resource.Ref{}, 2}, {resource.Key{}, 3}} {
		if typ := reflect.TypeOf(c.v); typ.NumField() != c.want {
			t.Errorf("%s has %d fields, the codec was written for %d: store the new one, under a new version", typ, typ.NumField(), c.want)
		}
	}
}

func TestCommandRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := commands.Draw(t, "command")
		want.Revision = 9
		got, err := Command(AppendCommand(nil, &want), 9)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, error %v\nwant %+v", got, err, want)
		}
	})
}

func batch(t *rapid.T) store.Batch {
	b := store.Batch{
		Revision: 17, At: time.Unix(5, 6).UTC(),
		Writer: store.Writer{Name: texts.Draw(t, "writer"), Object: keys.Draw(t, "by")},
		Cause:  store.Cause{Revision: resource.Revision(rapid.Uint64().Draw(t, "cause")), Text: texts.Draw(t, "why")},
	}
	few := rapid.IntRange(0, 3)
	for range few.Draw(t, "objects") {
		o := &resource.Object{Spec: documents.Draw(t, "spec"), Status: documents.Draw(t, "status")}
		o.Key, o.UID, o.Revision = keys.Draw(t, "key"), resource.UID(texts.Draw(t, "uid")), b.Revision
		o.Generation, o.Created, o.Deleted = resource.Generation(rapid.Uint64().Draw(t, "generation")), times.Draw(t, "created"), times.Draw(t, "deleted")
		o.State, o.StateSince, o.Attributes = lifecycle.State(texts.Draw(t, "state")), times.Draw(t, "since"), attributes(t)
		b.Objects = append(b.Objects, store.ObjectChange{Object: o, Created: rapid.Bool().Draw(t, "new"), Removed: rapid.Bool().Draw(t, "gone")})
	}
	for range few.Draw(t, "commands") {
		c := store.CommandChange{Command: commands.Draw(t, "command"), Removed: rapid.Bool().Draw(t, "removed")}
		c.Command.Revision = b.Revision
		b.Commands = append(b.Commands, c)
	}
	old := rapid.Bool().Draw(t, "nothing new in signals")
	for i := range few.Draw(t, "signals") {
		g := store.Signal{ID: store.SignalID(40 + i), Revision: b.Revision, Object: keys.Draw(t, "object"), UID: resource.UID(texts.Draw(t, "uid")),
			Name: lifecycle.SignalName(texts.Draw(t, "name")), Payload: bytes.Draw(t, "payload"), By: texts.Draw(t, "by"), At: times.Draw(t, "at")}
		if !old {
			g.Why, g.Dedupe, g.Expires = texts.Draw(t, "why"), texts.Draw(t, "dedupe"), times.Draw(t, "expires")
		}
		b.Raised = append(b.Raised, g)
	}
	for range few.Draw(t, "consumed") {
		b.Consumed = append(b.Consumed, store.SignalID(rapid.Uint64().Draw(t, "id")))
	}
	for range few.Draw(t, "timers") {
		b.Timers = append(b.Timers, store.Timer{Controller: texts.Draw(t, "controller"), Object: keys.Draw(t, "object"), UID: resource.UID(texts.Draw(t, "uid")),
			Due: times.Draw(t, "due"), Code: texts.Draw(t, "code")})
	}
	return b
}

func TestBatchRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := batch(t)
		body, err := AppendBatch(nil, &want, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Batch(body, Head{Revision: want.Revision, At: want.At, FirstSignal: 40})
		if err != nil {
			t.Fatal(err)
		}
		for i := range want.Objects { // texts that are not UTF-8 are mended by JSON, in attributes
			want.Objects[i].Object.Attributes = mended(t, want.Objects[i].Object.Attributes)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}

// TestDamage cuts, extends and flips bodies: a reader fails or returns something, and never more than that.
func TestDamage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := batch(t)
		body, err := AppendBatch(nil, &b, nil)
		if err != nil {
			t.Fatal(err)
		}
		cut := rapid.IntRange(0, len(body)-1).Draw(t, "cut")
		if _, err := Batch(body[:cut], Head{}); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d of %d bytes: error %v", cut, len(body), err)
		}
		if _, err := Batch(append(body[:len(body):len(body)], 0), Head{}); !errors.Is(err, ErrDamaged) {
			t.Fatalf("a byte too many: error %v", err)
		}
		flipped := append([]byte{}, body...)
		flipped[rapid.IntRange(0, len(body)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		if _, err := Batch(flipped, Head{}); err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatalf("error %v is not ErrDamaged", err)
		}
	})
}

// version1 is a commit as the first version of this package wrote it: two signals, one of them with a payload.
const version1 = "010361646100000000066c61756e6368000002014b026e730161057569642d6106506c65617365037b7d0361646102014b000162057569642d6204506f6b65000004010900"

// TestVersions reads what the first version wrote, writes it again as it was, and writes the second version only for what the first one cannot say.
func TestVersions(t *testing.T) {
	first, err := hex.DecodeString(version1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Batch(first, Head{Revision: 3, FirstSignal: 8})
	if err != nil {
		t.Fatal(err)
	}
	want := []store.Signal{
		{ID: 8, Object: resource.Key{Kind: "K", Namespace: "ns", Name: "a"}, UID: "uid-a", Name: "Please", Payload: []byte("{}"), By: "ada", At: time.Unix(0, 1).UTC(), Revision: 3},
		{ID: 9, Object: resource.Key{Kind: "K", Name: "b"}, UID: "uid-b", Name: "Poke", At: time.Unix(0, 2).UTC(), Revision: 3},
	}
	if !reflect.DeepEqual(b.Raised, want) || b.Writer.Name != "ada" || b.Cause.Text != "launch" || !reflect.DeepEqual(b.Consumed, []store.SignalID{9}) {
		t.Fatalf("read %+v", b)
	}
	for _, c := range []struct {
		reason  string
		edit    func(*store.Signal)
		version byte
	}{
		{"an older program can read it", func(*store.Signal) {}, batchVersion1},
		{"why is new", func(s *store.Signal) { s.Why = "it leaks" }, batchVersion2},
		{"what it is about is new", func(s *store.Signal) { s.Dedupe = "disk-3" }, batchVersion2},
		{"an end is new", func(s *store.Signal) { s.Expires = time.Unix(9, 0).UTC() }, batchVersion2},
		{"a condition is not stored", func(s *store.Signal) { s.Seen = 7 }, batchVersion1},
	} {
		changed := b
		changed.Raised = slices.Clone(b.Raised)
		c.edit(&changed.Raised[1])
		body, err := AppendBatch(nil, &changed, nil)
		if err != nil || body[0] != c.version {
			t.Fatalf("%s: version %d, error %v; want %d", c.reason, body[0], err, c.version)
		}
		again, err := Batch(body, Head{Revision: 3, FirstSignal: 8})
		changed.Raised[1].Seen = 0
		if err != nil || !reflect.DeepEqual(again, changed) {
			t.Fatalf("%s: wrote %+v, read %+v, error %v", c.reason, changed, again, err)
		}
		if c.version == batchVersion1 && hex.EncodeToString(body) != version1 {
			t.Fatalf("%s: got\n%x\nwant\n%s", c.reason, body, version1)
		}
	}
}
