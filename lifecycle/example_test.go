package lifecycle_test

import (
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
)

func ExampleCheck() {
	err := lifecycle.Check(lifecycle.Table{
		{State: "Starting", Budget: time.Minute, To: lifecycle.To("Running", "Broken")},
		{State: "Running", Healthy: true, Stable: true, To: lifecycle.To("Leaving")},
		{State: "Broken", Stable: true},
		{State: "Leaving", Deleting: true, Budget: time.Hour, To: lifecycle.To("Gone")},
		{State: "Gone", Final: true},
	})
	fmt.Println(err)
	// Output:
	// the lifecycle is wrong:
	//   - Broken has no way out and is not final: say Final, or where it leads to
	//   STATE     IN  IS                           BUDGET  TO
	//   Starting  -   initial unhealthy unstable   1m      Running Broken
	//   Running   -   healthy stable               -       Leaving
	//   Broken    -   unhealthy stable             -       -
	//   Leaving   -   deleting unhealthy unstable  1h      Gone
	//   Gone      -   final                        -       -
}

func ExampleTable_Allows() {
	door := lifecycle.Table{
		{State: "Open", Stable: true, To: lifecycle.To("Closed")},
		{State: "Closed", Healthy: true, Stable: true, To: lifecycle.To("Open", "Locked")},
		{State: "Locked", Healthy: true, Stable: true, To: lifecycle.To("Closed")},
	}
	fmt.Println(door.Initial(), door.Allows("Open", "Closed"), door.Allows("Open", "Locked"))
	// Output: Open true false
}

func ExampleMermaid() {
	fmt.Print(lifecycle.Mermaid(lifecycle.Table{
		{State: "On", Healthy: true, Stable: true, To: lifecycle.To("Off")},
		{State: "Off", Final: true},
	}))
	// Output:
	// stateDiagram-v2
	//     On
	//     Off
	//     [*] --> On
	//     On --> Off
	//     Off --> [*]
	//     classDef healthy fill:#e6f4ea,stroke:#1e7e34
	//     classDef unhealthy fill:#fdecea,stroke:#b3261e
	//     classDef unstable stroke-dasharray:4
	//     classDef final fill:#eceff1,stroke:#546e7a,stroke-width:3px
	//     class On healthy
	//     class Off final
}
