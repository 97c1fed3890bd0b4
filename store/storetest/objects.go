package storetest

import (
	"strings"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var objectScenarios = []scenario{
	{name: "Object/RoundTrip", reason: "what is read is what was written, with the revision of the commit", run: roundTrip},
	{name: "Object/CreateOnce", reason: "expecting absence fails when it is there", run: createOnce},
	{name: "Object/UpdateFromStale", reason: "a write computed from an old revision is a conflict that names the key and both revisions", run: updateFromStale},
	{name: "Object/UpdateAbsent", reason: "expecting a revision fails when there is no object", run: updateAbsent},
	{name: "Object/Identity", reason: "UID and creation never change, generation never falls, deletion is never taken back", run: identity},
	{name: "Object/HandedOver", reason: "the caller's object is not changed by the commit", run: handedOver},
	{name: "Object/Namesakes", reason: "keys that differ in one part only are different objects", run: namesakes},
	{name: "Object/Malformed", reason: "a transaction with a fault of form is invalid, and changes nothing", run: malformed},
	{name: "Object/TooLarge", reason: "an object over the cap is refused whole, never cut", run: objectTooLarge},
}

func roundTrip(s *suite) {
	o := thing("a")
	o.Owners = []resource.Owner{{Key: thing("p").Key, UID: "uid-p", Child: "a"}}
	o.Finalizers = []resource.Finalizer{"dns", "tls"}
	o.Annotations = map[string]string{"note": "line\nbreak \"quoted\" é <&> \u2028"}
	o.Needs = []string{"b", "c"}
	o.Observed = 7
	o.Waits = []resource.Wait{{Controller: "dns", Code: "Busy", Message: "wait", On: []resource.Ref{{Object: thing("q").Key}, {Command: "dns/x"}}, Until: epoch, Since: epoch}}
	rev := s.create(o)
	got := s.read(o.Key)
	if got.Revision != rev || !same(got, o) {
		s.Fatalf("read\n%+v\nat %d, wrote\n%+v\nat %d", printed(got), got.Revision, printed(o), rev)
	}
	bare := &resource.Object{Meta: resource.Meta{Key: resource.Key{Kind: plain, Name: "bare"}, UID: "uid-bare", Created: epoch}}
	s.create(bare)
	if got := s.read(bare.Key); !same(got, bare) || got.Spec != nil || got.Status != nil {
		s.Fatalf("read %+v, wrote %+v", printed(got), printed(bare))
	}
}

func createOnce(s *suite) {
	o := thing("a")
	rev := s.create(o)
	e := s.refused(write(o, 0), store.ErrConflict)
	if e.Key != o.Key || e.Expected != 0 || e.Actual != rev {
		s.Fatalf("conflict says key %s, expected %d, actual %d", e.Key, e.Expected, e.Actual)
	}
}

func updateFromStale(s *suite) {
	o := thing("a")
	first := s.create(o)
	second := s.must(write(changed(o, `{"n":1}`), first)).Revision
	e := s.refused(write(changed(o, `{"n":2}`), first), store.ErrConflict)
	if e.Key != o.Key || e.Expected != first || e.Actual != second {
		s.Fatalf("conflict says key %s, expected %d, actual %d; the object went from %d to %d", e.Key, e.Expected, e.Actual, first, second)
	}
	if !strings.Contains(e.Error(), o.Key.String()) {
		s.Fatalf("message %q does not name %s", e.Error(), o.Key)
	}
	if got := string(s.read(o.Key).Spec); got != `{"n":1}` {
		s.Fatalf("spec is %s", got)
	}
}

func updateAbsent(s *suite) {
	e := s.refused(write(thing("a"), 3), store.ErrConflict)
	if e.Expected != 3 || e.Actual != 0 {
		s.Fatalf("conflict says expected %d, actual %d; want 3 and 0", e.Expected, e.Actual)
	}
	s.refused(remove(thing("a").Key, 3), store.ErrConflict)
	s.absent(thing("a").Key)
}

func identity(s *suite) {
	o := thing("a")
	o.Generation = 5
	o.Finalizers = []resource.Finalizer{"dns"}
	rev := s.create(o)
	for _, c := range []struct {
		reason string
		edit   func(*resource.Object)
		cause  error
	}{
		{"a namesake has another UID and is created anew", func(o *resource.Object) { o.UID = "other" }, store.ErrInvalid},
		{"the time of creation is history", func(o *resource.Object) { o.Created = epoch.Add(1) }, store.ErrInvalid},
		{"generation counts", func(o *resource.Object) { o.Generation = 4 }, store.ErrInvalid},
	} {
		bad := o.Clone()
		c.edit(bad)
		if e := s.refused(write(bad, rev), c.cause); e.Key != o.Key {
			s.Errorf("%s: the error names %s", c.reason, e.Key)
		}
	}
	marked := o.Clone()
	marked.Deleted = epoch
	rev = s.must(write(marked, rev)).Revision
	s.refused(write(o, rev), store.ErrRule)
}

func handedOver(s *suite) {
	o := thing("a")
	before := o.Clone()
	s.create(o)
	if o.Revision != 0 || !same(o, before) {
		s.Fatalf("the caller's object became %+v", printed(o))
	}
	got := s.read(o.Key)
	if got == o {
		s.Fatal("the store returned the caller's own object")
	}
}

func namesakes(s *suite) {
	for _, key := range []resource.Key{
		{Kind: plain, Namespace: "a", Name: "b"}, {Kind: plain, Namespace: "", Name: "b"}, {Kind: plain, Namespace: "b", Name: "a"},
		{Kind: "Other.storetest.example", Namespace: "a", Name: "b"}, {Kind: plain, Namespace: "a", Name: "B"},
	} {
		o := thing("x")
		o.Key, o.UID = key, resource.UID(key.String())
		s.create(o)
	}
	if n := len(s.state().Objects); n != 5 {
		s.Fatalf("%d objects, want 5", n)
	}
}

func malformed(s *suite) {
	o := thing("a")
	edited := func(edit func(*resource.Object)) store.Transaction {
		c := o.Clone()
		edit(c)
		return write(c, 0)
	}
	for _, c := range []struct {
		reason string
		tx     store.Transaction
	}{
		{"no UID", edited(func(o *resource.Object) { o.UID = "" })},
		{"no kind", edited(func(o *resource.Object) { o.Kind = "" })},
		{"no name", edited(func(o *resource.Object) { o.Name = "" })},
		{"no creation", edited(func(o *resource.Object) { o.Created = o.Deleted })},
		{"spec is not JSON", edited(func(o *resource.Object) { o.Spec = []byte(`{"a":`) })},
		{"status is not JSON", edited(func(o *resource.Object) { o.Status = []byte(`nope`) })},
		{"born deleted", edited(func(o *resource.Object) { o.Deleted = epoch })},
		{"a key twice", store.Transaction{Objects: []store.ObjectWrite{{Object: o}, {Object: o}}}},
		{"removal without expectation", remove(o.Key, 0)},
		{"removal without key", remove(resource.Key{}, 1)},
		{"a key that contradicts the object", store.Transaction{Objects: []store.ObjectWrite{{Object: o, Key: thing("b").Key}}}},
	} {
		if _, err := s.commit(c.tx); err == nil {
			s.Errorf("%s: accepted", c.reason)
			continue
		}
		s.refused(c.tx, store.ErrInvalid)
	}
}

func objectTooLarge(s *suite) {
	o := thing("a")
	rev := s.create(o)
	big := o.Clone()
	big.Spec = []byte(`"` + strings.Repeat("x", 2<<20) + `"`)
	if e := s.refused(write(big, rev), store.ErrTooLarge); e.Key != o.Key {
		s.Fatalf("the error names %s", e.Key)
	}
	s.refused(store.Transaction{Raise: []store.Signal{{Object: o.Key, Name: "Big", Payload: []byte(`"` + strings.Repeat("x", 65<<10) + `"`)}}}, store.ErrTooLarge)
}
