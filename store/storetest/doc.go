// Package storetest proves that an engine keeps the contract of package store. An engine's own test calls
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store {
//			s, err := open(t.TempDir())
//			if err != nil {
//				t.Fatal(err)
//			}
//			t.Cleanup(func() { s.Close() })
//			return s
//		}, storetest.Reopening(reopen))
//	}
//
// Every scenario gets a new, empty store. Scenarios assert what was committed, delivered and refused, never how long it took; they wait for the thing
// itself, so that a slow machine makes them slow and not wrong. What an engine can do beyond the contract's minimum is told by a
// [Capability]; without it the scenarios that need it do not exist for that engine.
//
// [State] applies batches as the contract says a reader may, and is also of use to the tests of readers. [Faulty] wraps any store, and fails, delays or
// loses the acknowledgement of chosen commits.
package storetest
