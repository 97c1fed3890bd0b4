// Package bench measures what the plane costs, on one machine, with everything durable: the numbers of docs/reference/performance.md.
//
//	make bench
//
// It prints the facts of the machine, and then one line for each case. Each benchmark does a fixed amount of work, so it is run with
// -benchtime 1x; what counts is not ns/op but the metrics beside it:
//
//   - CPU is the processor time of the whole process (getrusage), clients and garbage collection included, divided by the work done. It is the
//     figure to trust: time on the clock comes and goes with the neighbours of a shared machine.
//   - A ratio is taken between halves of one run that were measured in turns, so that a busy minute meets both.
//   - Commits, rows and statements are counted, and are the same on every machine but for the order in which things happen.
//
// Group commit is in group_test.go, the way from a commit to a turn in latency_test.go, one parent with three children in parent_test.go, 5,000
// gateways in gateways_test.go, actions of five steps in actions_test.go, the view with 1,000,000 objects in view_test.go, and what a change costs among so many objects at
// rest in growth_test.go. The tests of the package hold the same code to the counts that the page states.
package bench
