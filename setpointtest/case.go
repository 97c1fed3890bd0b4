package setpointtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/lifecycle"
)

// Case is one story of a fuzz run: an object in a state, on which signals stand, and what goes wrong and is asked for while it is worked on. Its text, which
// [Case.String] writes and [ParseCase] reads, is enough to tell it again:
//
//	in Running; with NeedsTuning; call shop default/it.Tune.two #1 refused; after 2 raise Cancel
//
// The object is called "it", in keys too.
type Case struct {
	State lifecycle.State
	// Variant numbers the objects that can be in a state, from 0; what they are says [Fuzzing].Object.
	Variant int
	// Signals are raised in this order, when the object is put there. One that the table forbids beside those before it is refused.
	Signals []lifecycle.SignalName
	// Results are answers of adapters that are not the usual one, which is to do what was asked.
	Results []Injected
	// Orders are what others do while the object is worked on.
	Orders []Order
}

// Injected is how one call of an adapter ends.
type Injected struct {
	Adapter command.AdapterName
	// Key is the natural key of the call, and Nth counts the calls for this key, from 1.
	Key    string
	Nth    int
	Result Result
}

// Result is an end of a call that a case injects.
type Result string

// The results. Faults are over an hour after the case began.
const (
	// ResultRefused: refused, and to repeat it cannot help. Nothing was done.
	ResultRefused Result = "refused"
	// ResultBusy: refused this once. Nothing was done.
	ResultBusy Result = "busy"
	// ResultThrottled: refused, and to be repeated a minute later.
	ResultThrottled Result = "throttled"
	// ResultHalfWay: it failed. What shows outside has been done.
	ResultHalfWay Result = "half-way"
	// ResultLost: no answer. It did not arrive.
	ResultLost Result = "lost"
	// ResultUnanswered: no answer. It was done.
	ResultUnanswered Result = "unanswered"
	// ResultAccepted: accepted, and done when it is asked about again.
	ResultAccepted Result = "accepted"
	// ResultStale: refused, because something newer had been there.
	ResultStale Result = "stale"
	// ResultAway: this call, and all others for the key within an hour, are refused as ResultBusy is.
	ResultAway Result = "away"
)

// Results lists all results.
func Results() []Result {
	return []Result{
		ResultRefused, ResultBusy, ResultThrottled, ResultHalfWay, ResultLost, ResultUnanswered, ResultAccepted, ResultStale, ResultAway,
	}
}

// Order is what somebody does at a boundary: between two commits of the object's driver. It is in effect with the commit before it, so that the driver cannot have
// begun anything else.
type Order struct {
	// After counts the commits of the driver that wrote the object; 0 is the creation of the object.
	After int
	What  What
	// Signal is raised, for OrderRaise. After Pause, Resume is raised an hour and a half later.
	Signal lifecycle.SignalName
}

// What says what an order does.
type What string

// The orders. A plane that crashes is followed by another at once.
const (
	// OrderRaise raises a signal: of the table, if it does not forbid it there, or of an operator.
	OrderRaise What = "raise"
	// OrderDelete asks for the deletion of the object.
	OrderDelete What = "delete"
	// OrderCrash ends the plane after the commit, before anybody is told that it was made.
	OrderCrash What = "crash"
	// OrderCrashBefore ends the plane when the commit after this boundary is to be made.
	OrderCrashBefore What = "crash-before-next"
)

func (i Injected) String() string {
	return fmt.Sprintf("call %s %s #%d %s", i.Adapter, i.Key, i.Nth, i.Result)
}

func (o Order) String() string {
	if o.What == OrderRaise {
		return fmt.Sprintf("after %d raise %s", o.After, o.Signal)
	}
	return fmt.Sprintf("after %d %s", o.After, o.What)
}

// String writes the case as a line.
func (c Case) String() string {
	parts := []string{"in " + string(c.State)}
	if c.Variant > 0 {
		parts = append(parts, "variant "+strconv.Itoa(c.Variant))
	}
	if len(c.Signals) > 0 {
		names := make([]string, len(c.Signals))
		for i, s := range c.Signals {
			names[i] = string(s)
		}
		parts = append(parts, "with "+strings.Join(names, ", "))
	}
	for _, r := range c.Results {
		parts = append(parts, r.String())
	}
	for _, o := range c.Orders {
		parts = append(parts, o.String())
	}
	return strings.Join(parts, "; ")
}

// ParseCase reads what [Case.String] has written.
func ParseCase(line string) (c Case, err error) {
	for _, part := range strings.Split(strings.TrimSpace(line), "; ") {
		if err := c.parse(part); err != nil {
			return Case{}, fmt.Errorf("the case %q: %q is not a part of one: %w", line, part, err)
		}
	}
	return c, nil
}

func (c *Case) parse(part string) (err error) {
	kind, rest, _ := strings.Cut(part, " ")
	words := strings.Fields(rest)
	switch n := len(words); {
	case kind == "in" && n <= 1:
		c.State = lifecycle.State(rest)
	case kind == "variant" && n == 1:
		c.Variant, err = strconv.Atoi(rest)
	case kind == "with" && n > 0:
		for _, name := range strings.Split(rest, ", ") {
			c.Signals = append(c.Signals, lifecycle.SignalName(name))
		}
	case kind == "call" && n >= 4:
		i := Injected{Adapter: command.AdapterName(words[0]), Key: strings.Join(words[1:n-2], " "), Result: Result(words[n-1])}
		if !slices.Contains(Results(), i.Result) {
			return fmt.Errorf("there is no result %q", i.Result)
		}
		i.Nth, err = strconv.Atoi(strings.TrimPrefix(words[n-2], "#"))
		c.Results = append(c.Results, i)
	case kind == "after" && n == 3 && words[1] == string(OrderRaise), kind == "after" && n == 2 && words[1] != string(OrderRaise):
		o := Order{What: What(words[1])}
		if n == 3 {
			o.Signal = lifecycle.SignalName(words[2])
		}
		if !slices.Contains([]What{OrderRaise, OrderDelete, OrderCrash, OrderCrashBefore}, o.What) {
			return fmt.Errorf("there is no order %q", o.What)
		}
		o.After, err = strconv.Atoi(words[0])
		c.Orders = append(c.Orders, o)
	default:
		return fmt.Errorf("want in, variant, with, call or after")
	}
	return err
}

// crashes reports whether the plane dies in this case.
func (c *Case) crashes() bool {
	return slices.ContainsFunc(c.Orders, func(o Order) bool { return o.What == OrderCrash || o.What == OrderCrashBefore })
}

// twists counts what is not as usual.
func (c *Case) twists() int { return len(c.Results) + len(c.Orders) }

// with is the case with something more going wrong.
func (c Case) with(r []Injected, o []Order) Case {
	c.Results, c.Orders = slices.Concat(c.Results, r), slices.Concat(c.Orders, o)
	slices.SortStableFunc(c.Orders, func(a, b Order) int { return a.After - b.After })
	return c
}
