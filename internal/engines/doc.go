// Package engines lists the engines that this project's tests run on, so that a test is written once and an engine added in one place.
//
//	func TestAThingIsMade(t *testing.T) {
//		engines.Each(t, func(t *testing.T, e engines.Engine) {
//			e.Run(t, setup(), func(w *setpointtest.World) { … })
//		})
//	}
//
// Each engine is a subtest; `go test -run '/^sqlite$'` runs one of them. What a test asserts is the same for all: an engine shows in the
// time that it takes, and in nothing else.
package engines
