package availability_test

import (
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/availability"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

var table = lifecycle.Table{
	{State: "Provisioning", Budget: 10 * time.Minute, To: lifecycle.To("Available", "Deleting")},
	{State: "Available", Healthy: true, Stable: true, To: lifecycle.To("Unavailable", "Deleting")},
	{State: "Unavailable", Budget: time.Minute, To: lifecycle.To("Available", "Deleting")},
	{State: "Deleting", Deleting: true, Budget: time.Hour, To: lifecycle.To("Deleted")},
	{State: "Deleted", Final: true},
}

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// orders is a database that took 10 minutes to come up and has had two outages since, of 30 minutes and of 5.
func orders() availability.History {
	var changes []availability.Change
	var from lifecycle.State
	for i, c := range []struct {
		after  time.Duration
		to     lifecycle.State
		reason string
	}{
		{0, "Provisioning", "Requested"}, {10 * time.Minute, "Available", "Ready"},
		{70 * time.Minute, "Unavailable", "HostDown"}, {100 * time.Minute, "Available", "Promoted"},
		{160 * time.Minute, "Unavailable", "DiskFull"}, {165 * time.Minute, "Available", "Extended"},
	} {
		change := availability.Change{
			Type: availability.Transition, At: noon.Add(c.after), From: from, To: c.to, Reason: c.reason, Revision: resource.Revision(i + 1),
		}
		if i == 0 {
			change.Type = availability.Created
		}
		changes, from = append(changes, change), c.to
	}
	return availability.History{Key: resource.Key{Kind: "Database.db.example", Namespace: "shop", Name: "orders"}, Changes: changes}
}

func Example() {
	rules, err := availability.NewRules(table, availability.Policy{})
	if err != nil {
		fmt.Println(err)
		return
	}
	window, err := availability.Between(noon, noon.Add(4*time.Hour))
	if err != nil {
		fmt.Println(err)
		return
	}
	life := availability.NewLife(orders(), rules)
	fmt.Print(life.Report(window))
	// Output:
	// Database.db.example/shop/orders: 84.7826% from 2026-05-04T12:00:00Z to 2026-05-04T16:00:00Z (up 3h15m, down 35m, uncounted 10m, unknown 0s of it)
	// recovered 2×: MTTR 17m30s, p50 5m, p99 30m, MTBF 1h37m
	// START                 LENGTH  OUTCOME    PATH         REASON    CAUSE
	// 2026-05-04T13:10:00Z  30m     recovered  Unavailable  HostDown  -
	// 2026-05-04T14:40:00Z  5m      recovered  Unavailable  DiskFull  -
}

func ExampleCurveOf() {
	rules, err := availability.NewRules(table, availability.Policy{})
	if err != nil {
		fmt.Println(err)
		return
	}
	lives := []availability.Life{availability.NewLife(orders(), rules)}
	afternoon := availability.Window{From: noon, To: noon.Add(4 * time.Hour)}
	// The bend is between half an hour and an hour: the outage that hurt was that long.
	fmt.Print(availability.CurveOf(lives, afternoon, 5*time.Minute, 15*time.Minute, 30*time.Minute, time.Hour, 2*time.Hour, 4*time.Hour))
	// Output:
	// WINDOW  UPTIME    DOWN  WORST FROM            TO
	// 5m      0%        5m    2026-05-04T13:10:00Z  2026-05-04T13:15:00Z
	// 15m     0%        15m   2026-05-04T13:10:00Z  2026-05-04T13:25:00Z
	// 30m     0%        30m   2026-05-04T13:10:00Z  2026-05-04T13:40:00Z
	// 1h      50%       30m   2026-05-04T12:40:00Z  2026-05-04T13:40:00Z
	// 2h      70.8333%  35m   2026-05-04T12:45:00Z  2026-05-04T14:45:00Z
	// 4h      84.7826%  35m   2026-05-04T12:00:00Z  2026-05-04T16:00:00Z
}

func ExampleGroupBy() {
	rules, err := availability.NewRules(table, availability.Policy{})
	if err != nil {
		fmt.Println(err)
		return
	}
	window := availability.Window{From: noon, To: noon.Add(4 * time.Hour)}
	quiet := orders()
	quiet.Key.Name, quiet.Changes = "stock", quiet.Changes[:2]
	var reports []availability.Report
	for _, h := range []availability.History{orders(), quiet} {
		reports = append(reports, availability.NewLife(h, rules).Report(window))
	}
	groups, err := availability.GroupBy(reports, availability.ByNamespace, 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(groups)
	// Output:
	// GROUP  OBJECTS  UPTIME    UP    DOWN  UNKNOWN  OUTAGES  OPEN  MTTR    P50  P99  MTBF
	// shop   2        92.3913%  7h5m  35m   0s       2        0     17m30s  5m   30m  3h32m
	//
	// WORST                            AVAILABILITY  DOWN  OUTAGES
	// Database.db.example/shop/orders  84.7826%      35m   2
}
