package setpoint_test

import (
	"context"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/setpointtest"
)

// commitRow is a row of the tables that follow a site: "| 3 | `controller/address` | …".
var commitRow = regexp.MustCompile("(?m)^\\| (\\d+) \\| `([^`]+)` \\|")

// TestTheCommitsOfASite: making and deleting the site of the README takes the commits that the documentation lists, by those writers.
func TestTheCommitsOfASite(t *testing.T) {
	var want []string
	for _, page := range []string{"docs/explanation/how-a-change-travels.md", "docs/explanation/deletion.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range commitRow.FindAllStringSubmatch(string(text), -1) {
			want = append(want, m[2])
			if m[1] != strconv.Itoa(len(want)) {
				t.Errorf("%s has row %s where %d is expected", page, m[1], len(want))
			}
		}
	}

	allocator, dns := setpointtest.NewSubsystem(), setpointtest.NewSubsystem()
	allocator.Answer = func(string, []byte, int) ([]byte, error) { return []byte(`{"ip":"192.0.2.7"}`), nil }
	setpointtest.Run(t, setpointtest.Setup{
		Kinds: []*setpoint.Definition{Sites.Definition, Addresses.Definition, Records.Definition},
		Controllers: []setpoint.Controller{
			Sites.Driver("site", driveSite), Addresses.Driver("address", driveAddress), Records.Driver("record", driveRecord),
		},
		Adapters: map[command.AdapterName]command.Adapter{"allocator": remote{allocator}, "dns": remote{dns}},
	}, func(w *setpointtest.World) {
		w.Apply(Sites.Definition, "www", SiteSpec{Host: "www.example"})
		w.Converge(time.Minute)
		w.Delete(Sites.Definition, "www")
		w.Converge(time.Minute)
		var have []string
		for _, c := range w.Commits() {
			have = append(have, strings.Replace(c.Writer.Name, "api:test", "api:ada", 1))
		}
		if strings.Join(have, "\n") != strings.Join(want, "\n") {
			t.Errorf("the commits are\n%s\nand the documentation says\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
		}
	})
}

// remote answers after a millisecond of virtual time, as over a network: an answer that is there before the turn that asked has returned
// is committed by itself.
type remote struct{ command.Adapter }

func (r remote) Do(ctx context.Context, c command.Call) command.Result {
	<-time.After(time.Millisecond)
	return r.Adapter.Do(ctx, c)
}
