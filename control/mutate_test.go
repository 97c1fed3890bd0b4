package control_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/resource"
)

// everyShape is a decider in which everything is that can slip.
func everyShape() setpoint.Decider[spec, status] {
	wait := setpoint.Wait("wait", func(*engineRun) bool { return true }).Within(time.Hour).Every(time.Minute)
	call := setpoint.Call("call", shop, func(*engineRun) *spec { return &spec{} }).Undo(func(*engineRun) *spec { return &spec{Value: "undone"} }).
		Key(func(*engineRun) string { return "k" }).At(func(*engineRun) string { return "d" }).Within(time.Hour).
		Retry(setpoint.Retry{Attempts: 2, For: time.Minute, Tell: time.Second, Final: []command.Class{command.Throttled}})
	return setpoint.Decider[spec, status]{
		Compare: done,
		Guards: map[setpoint.GuardName]func(*setpoint.Turn, *thing) bool{
			"odd": func(_ *setpoint.Turn, o *thing) bool { return o.Spec.Count%2 == 1 },
		},
		Actions: map[setpoint.ActionName]setpoint.Action[spec, status]{
			"Plain": {},
			"Full": {
				Within: time.Hour, Finish: func(*engineRun) {},
				Steps: []setpoint.Step[spec, status]{
					call,
					setpoint.Together[spec, status]("both", ask("left"), setpoint.Sequence[spec, status]("row", ask("first"), wait)),
					setpoint.First[spec, status]("either", ask("quick"), ask("slow")),
					setpoint.Choose("way", func(*engineRun) string { return "a" }, setpoint.Ways[spec, status]{"a": {ask("here")}, "b": {}}),
					setpoint.Set("mark", func(*engineRun) {}).Undo(func(*engineRun) {}),
					setpoint.Ask("others", func(*engineRun) []setpoint.Key { return nil }, needsTuning).About(func(*engineRun, setpoint.Key) any { return 1 }),
				},
			},
		},
	}
}

const allSlips = `Compare dropped
guard odd: negated
guard odd: always true
guard odd: always false
action Full: Finish dropped
action Full: Within dropped
action Full: step call dropped
action Full: steps call and both swapped
action Full: step call: undo skipped
action Full: step call: undo asks for absence
action Full: step call: Within dropped
action Full: step call: the limit of attempts dropped
action Full: step call: the limit of time for repetitions dropped
action Full: step call: the final classes dropped
action Full: step call: Tell dropped
action Full: step call: Key dropped
action Full: step call: the destination dropped
action Full: step both dropped
action Full: steps both and either swapped
action Full: step both: Together taken for First
action Full: in both: step left dropped
action Full: step left: undo skipped
action Full: step left: undo asks for absence
action Full: in both: step row dropped
action Full: in row: step first dropped
action Full: in row: steps first and wait swapped
action Full: step first: undo skipped
action Full: step first: undo asks for absence
action Full: in row: step wait dropped
action Full: step wait: Within dropped
action Full: step wait: Every dropped
action Full: step either dropped
action Full: steps either and way swapped
action Full: step either: First taken for Together
action Full: in either: step quick dropped
action Full: step quick: undo skipped
action Full: step quick: undo asks for absence
action Full: in either: step slow dropped
action Full: step slow: undo skipped
action Full: step slow: undo asks for absence
action Full: step way dropped
action Full: steps way and mark swapped
action Full: step way: the ways a and b exchanged
action Full: in way, way a: step here dropped
action Full: step here: undo skipped
action Full: step here: undo asks for absence
action Full: step mark dropped
action Full: steps mark and others swapped
action Full: step mark: undo skipped
action Full: step others dropped
action Full: step others: About dropped`

func TestMutantsOfEveryShape(t *testing.T) {
	original := everyShape()
	var names []string
	for _, m := range control.Mutants(original) {
		names = append(names, m.Name)
		if guards := m.Decider.Guards; strings.HasPrefix(m.Name, "guard odd") {
			odd, even := guards["odd"](nil, thingOf(1)), guards["odd"](nil, thingOf(2))
			if odd && !even {
				t.Errorf("%s: the guard answers as before", m.Name)
			}
		}
	}
	if got := strings.Join(names, "\n"); got != allSlips {
		t.Errorf("the mutants are\n%s", got)
	}
	if odd := original.Guards["odd"](nil, thingOf(1)); !odd || original.Compare == nil || len(original.Actions["Full"].Steps) != 6 {
		t.Error("the original was changed")
	}
	undoes := original.Undoes()
	if want := []string{"call", "left", "first", "quick", "slow", "here"}; !slices.Equal(undoes["Full"], want) || len(undoes["Plain"]) != 0 {
		t.Errorf("the steps with an undo are %v, want %v", undoes, want)
	}
}

func thingOf(count int) *thing { return &resource.Typed[spec, status]{Spec: spec{Count: count}} }
