// Package program runs the program itself for tests: it builds `setpoint` once per test binary, and starts, kills, asks and surely ends it, as one of its demos.
//
//	func TestMain(m *testing.M) { program.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		d := program.NewDemo(t, "gateway")
//		d.Start()
//		d.AwaitOutput("Gateway shop is Active")
//		gateways, err := d.Client.Resolve(t.Context(), "gateways")
//		...
//		d.Kill()  // as a power cut would
//		d.Start() // d.Client finds it again
//
// When the test ends, `demo-stop` ends what the demo has left running, and what all of its programs have said is searched for data races and panics.
//
// Tests have a short form and a long one: [Size] chooses a number by SETPOINT_SOAK. Random choices come from [Seeded], whose seed is printed.
package program
