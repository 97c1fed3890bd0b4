package setpoint_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

type TeaSpec struct {
	Leaf  string `json:"leaf"`
	Grams int    `json:"grams,omitempty"`
}

type TeaStatus struct {
	Poured bool `json:"poured,omitempty"`
}

type Tea = setpoint.Resource[TeaSpec, TeaStatus]

const (
	Steeping setpoint.State = "Steeping"
	Served   setpoint.State = "Served"
	Clearing setpoint.State = "Clearing"
	Cleared  setpoint.State = "Cleared"
)

// A kind with defaults, rules and a state machine. Names, URLs and the schema follow from the Go types.
var Teas = setpoint.MustDefine(setpoint.KindOptions[TeaSpec, TeaStatus]{
	Group: "cafe.example", Version: "v1",
	Lifecycle: setpoint.Lifecycle{
		{State: Steeping, Budget: 10 * time.Minute, To: setpoint.To(Served, Clearing)},
		{State: Served, Healthy: true, Stable: true, To: setpoint.To(Clearing)},
		{State: Clearing, Deleting: true, Budget: time.Minute, To: setpoint.To(Cleared)},
		{State: Cleared, Final: true},
	},
	Default: func(s *TeaSpec) {
		if s.Grams == 0 {
			s.Grams = 3
		}
	},
	Validate: func(old, tea *Tea) error {
		var bad []error
		if tea.Spec.Grams > 20 {
			bad = append(bad, setpoint.Refuse("spec.grams", "want at most 20, got %d", tea.Spec.Grams))
		}
		if old != nil && old.Spec.Leaf != tea.Spec.Leaf {
			bad = append(bad, setpoint.Refuse("spec.leaf", "cannot be changed; make another tea"))
		}
		return errors.Join(bad...)
	},
})

// steep serves a tea when it has stood for 20 ms: a controller that waits for nothing but time.
func steep(t *setpoint.Turn, tea *Tea) setpoint.Outcome {
	switch ripe := tea.Created.Add(20 * time.Millisecond); {
	case tea.Deleting():
		return setpoint.Done() // there is nothing outside to take back
	case t.Now().Before(ripe):
		return setpoint.After(ripe.Sub(t.Now()), "Steeping", "it needs its time")
	}
	tea.Status.Poured = true
	t.Transition(Served, "Ripe")
	return setpoint.Done()
}

// A kind that was put together at run time is checked without a panic: what is wrong is said, with the table drawn.
func ExampleDefine() {
	_, err := setpoint.Define(setpoint.KindOptions[TeaSpec, TeaStatus]{
		Group: "cafe.example", Version: "v1",
		Lifecycle: setpoint.Lifecycle{{State: Steeping, To: setpoint.To(Served)}, {State: Served, Healthy: true, Stable: true}},
	})
	fmt.Println(err)
	// Output:
	// kind Tea.cafe.example: the lifecycle is wrong:
	//   - Served has no way out and is not final: say Final, or where it leads to
	//   STATE     IN  IS                          BUDGET  TO
	//   Steeping  -   initial unhealthy unstable  -       Served
	//   Served    -   healthy stable              -       -
}

// What does not fit the kind is refused before it is stored, with the field named.
func ExampleMustDefine() {
	tea, err := Teas.New("default", "one", TeaSpec{Leaf: "assam"}, resource.Birth{Now: time.Now()})
	fmt.Printf("%s %v\n", tea.Spec, err)
	tea, err = Teas.New("default", "two", TeaSpec{Leaf: "assam", Grams: 300}, resource.Birth{Now: time.Now()})
	if err == nil {
		err = Teas.Admit(nil, tea)
	}
	fmt.Println(err)
	// Output:
	// {"leaf":"assam","grams":3} <nil>
	// Tea.cafe.example/default/two is not valid: spec.grams: want at most 20, got 300
}

// A plane runs a controller, which waits by the clock. Every transition is in the history, with who made it and why.
func ExampleNew() {
	err := demonstrate(setpoint.Config{
		Kinds:       []*setpoint.Definition{Teas.Definition},
		Controllers: []setpoint.Controller{Teas.Driver("tea", steep)},
	}, func(ctx context.Context, plane *setpoint.Plane) error {
		key := Teas.Key("default", "one")
		if err := create(ctx, plane, key, `{"leaf":"assam"}`); err != nil {
			return err
		}
		if err := await(ctx, plane, key, ready); err != nil {
			return err
		}
		if _, _, err := plane.Delete(ctx, "api:ada", key, setpoint.Preconditions{}, false); err != nil {
			return err
		}
		if err := await(ctx, plane, key, gone); err != nil {
			return err
		}
		history, err := plane.History(ctx, store.HistoryQuery{Key: key})
		for _, e := range history {
			fmt.Println(e.Type, e.From, e.To, e.Reason, "by", e.Writer.Name)
		}
		return err
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// Created  Steeping Created by api:ada
	// Transition Steeping Served Ripe by controller/tea
	// Transition Served Clearing DeletionAsked by controller/tea
	// Transition Clearing Cleared DeletionAsked by controller/tea
	// Removed Cleared  DeletionAsked by controller/tea
}

// An error made terminal is not repeated: the object waits, and says for what, until it is changed.
func ExampleTerminal() {
	refuse := func(_ *setpoint.Turn, tea *Tea) setpoint.Outcome {
		if tea.Spec.Leaf == "peppermint" {
			return setpoint.Fail(setpoint.Terminal(errors.New("this is no tea")))
		}
		return setpoint.Done()
	}
	err := demonstrate(setpoint.Config{
		Kinds:       []*setpoint.Definition{Teas.Definition},
		Controllers: []setpoint.Controller{Teas.Driver("tea", refuse)},
	}, func(ctx context.Context, plane *setpoint.Plane) error {
		key := Teas.Key("default", "herbal")
		if err := create(ctx, plane, key, `{"leaf":"peppermint"}`); err != nil {
			return err
		}
		failed := func(o *setpoint.Object) bool { return o != nil && len(o.Waits) > 0 }
		if err := await(ctx, plane, key, failed); err != nil {
			return err
		}
		why, _ := plane.Explain(key)
		fmt.Println("ready:", why.Ready)
		for _, w := range why.Waits {
			fmt.Println(w.Class, w.Code, w.Message)
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// ready: false
	// Terminal Error this is no tea
}
