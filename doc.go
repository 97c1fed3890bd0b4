// Package setpoint holds resources at their setpoint: a service says what its customers want, and controllers make it so, and keep it so, through
// crashes, lost answers and failing hardware. It is the one import of those who write controllers; what it names is defined, and
// documented, in the packages below it.
//
// # Writing a service
//
// A kind is a type of resource: two Go structs, what is wanted (spec) and what is reported (status), with rules and a state machine.
//
//	var Records = setpoint.MustDefine(setpoint.KindOptions[RecordSpec, RecordStatus]{Group: "web.example", Version: "v1"})
//
// A controller is a function that looks at one object and says what should be. This one wants a DNS record:
//
//	var zone = setpoint.Endpoint[RecordSet, Empty]{Adapter: "dns"}
//
//	func driveRecord(t *setpoint.Turn, r *Record) setpoint.Outcome {
//		return zone.Ensure(t, r.Spec.Name, &RecordSet{A: r.Spec.IP}).Outcome()
//	}
//
// An adapter makes it so: a value with one method, Do, that makes one attempt and says how it ended ([command.Adapter]). A plane joins the parts:
//
//	db, err := sqlite.Open(ctx, sqlite.Options{Path: "setpoint.db"})
//	plane, err := setpoint.New(ctx, setpoint.Config{
//		Store:       db,
//		Kinds:       []*setpoint.Definition{Records.Definition},
//		Controllers: []setpoint.Controller{Records.Driver("record", driveRecord)},
//		Adapters:    []setpoint.Adapter{{Name: "dns", Adapter: myDNS}},
//	})
//	err = plane.Run(ctx)
//
// # A turn
//
// Each execution of a controller for one object is a [Turn]. It is pure: it reads the view, an in-memory replica of the database at one revision, and
// stages what should change; it calls nothing. When the function returns, all that it has staged is committed as one transaction, if
// nobody else has changed the object meanwhile; otherwise the function is run again on the latest copy. Three things can be staged:
//
//   - Children: [Kind].Child declares another object that should exist, Hold that this is not decided yet, and Turn.Rollup ends
//     the declaration, removes what is not declared any more, and waits until all of it is ready.
//   - Effects: [Endpoint].Ensure declares, by a natural key, how something outside should be. The commit stores a command with an idempotency token,
//     and afterwards the adapter's workers deliver it, as often as it takes. Its result wakes the object's next turn.
//   - What the object itself says: its status, conditions, and, along the lifecycle only, its state (Turn.Transition).
//
// # An outcome
//
// A turn returns one value, which says what happens next: [Done] (at the setpoint), [Await] (until one of these changes), [After] (when time
// has passed), [Fail] (by the class of the error: repeated with backoff, [Throttled], or [Terminal]). It is stored with the object, so
// that "why is it not ready?" is a question with an answer ([Plane.Explain]). A turn runs again when anything that it read changes, not before.
//
// # Deletion
//
// An object whose deletion was asked for stays until its driver has nothing outside any more. The same controller function runs: while its object is being
// deleted, Ensure asks for absence, Child makes nothing new, and Rollup waits for the children to go.
//
// # Writing from outside
//
// [Plane.Create], [Plane.Update], [Plane.Delete] and [Plane.Signal] are what doors call: each checks the kind's rules, and is repeated on
// the latest version when it meets another writer. Reads come from [Plane.View] and cost no database access.
// Package server runs a plane behind its HTTP API, and package cli makes a command line of that.
//
// # Promises
//
//   - An acknowledged write is durable, and survives the loss of the process at any moment.
//   - A turn's transaction is applied whole or not at all, and never on top of something that the turn has not seen.
//   - Every attempt of a command carries the same token; a subsystem that remembers tokens has at most one effect for each.
//   - Work on one object is never concurrent. A change during work runs it again.
//   - A panic in a controller or an adapter fails that object only.
//   - At rest nothing runs: no turns, no statements.
//
// # Not promised
//
// That a turn runs once per change (changes are merged), that a turn sees every intermediate version, or anything about a subsystem that
// neither remembers tokens nor can be addressed by a natural key.
//
// Test controllers with package setpointtest: in virtual time, on the real database, with a crash at every moment.
package setpoint
