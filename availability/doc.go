// Package availability computes from the history of objects how much of the time their customers had them, and had them in order.
//
// Three steps: what the states mean, what happened, what is asked.
//
//	rules, err := availability.NewRules(table, availability.Policy{})     // once per kind, from its lifecycle
//	life := availability.NewLife(history, rules)                          // once per object, from its history
//	report := life.Report(window)                                         // up, down, outages, time to recovery
//	groups, err := availability.GroupBy(reports, availability.ByKind, 10) // user-uptime of many, and the worst of them
//	curve := availability.CurveOf(lives, month)                           // the worst minute, the worst hour, the worst day
//
// Everything here is plain data and arithmetic: nothing is read, kept or running, and the same input gives the same output. A
// [Change] says how the entries of a history become its input.
//
// # The model
//
// At every instant an object has one [Standing]. Two of them count: up, in a healthy state, and down, in any other. Availability is up over up
// and down; time that does not count is in neither, so that an object created in mid-month is judged by its half month.
//
// What does not count by default follows from the lifecycle. Before the first healthy state the customer does not have the object yet, and
// has been promised nothing but that it will come, which is what the state's budget is for. From the deleting state on it
// is not wanted any more. A kind can differ, by a [Policy]: count from the creation on, or ignore states that the customer asked for.
//
// An [Outage] is from the first unhealthy state to the recovery, through however many states; it knows the transition that began it. One that
// ends with the deletion is gone, not recovered, and no time to recovery: who gives up does not improve the figures.
//
// # Many objects
//
// User-uptime adds up the up time of all objects, and divides by all the time that counts. So a fault weighs by how many it hit, and for how
// long. Hauer et al. (Meaningful Availability, NSDI 2020) show why this says more than a mean of ratios or a share of good
// minutes; a customer's object stands here for their user. As one number cannot tell many short outages from a long one, there is the windowed
// user-uptime: for each size of window, the worst window of that size. [CurveOf] says how it is computed and why it never falls.
//
// # Imperfect histories
//
// Histories are forgotten after a time, and written by nodes whose clocks differ. What is not known is not counted, and said: time before
// the first known change is [Unknown], unless the object itself ([Present]) or the retention ([History].Kept) tells more; so is
// the time in a hole. Changes are in the order of their revisions; one that carries an earlier time than its predecessor is taken
// to have happened with it. [Caveats] counts all of these.
//
// # Promises
//
//   - Times are exact to the nanosecond, also in sums over many objects ([Span]). Only ratios are rounded, to a float64.
//   - Up, down and uncounted time are the whole window; the figures of windows that meet add up, each recovery being in exactly one of them.
//   - The worst windows are exact: they slide continuously, and are not samples. They cost time in proportion to changes times sizes.
//   - A report depends on nothing after its window. Where there is no data it says so, and never NaN, 0 % or 100 %.
//
// Not promised: that a figure stays the same when more of the history becomes known, or is forgotten.
package availability
