// Package lifecycle holds state machines as data: the states of a kind of resource, and the only transitions allowed.
//
// An author writes a table, one row per state:
//
//	var life = lifecycle.Table{
//		{State: Provisioning, Budget: 10 * time.Minute, To: lifecycle.To(Available, Failed, Deleting)},
//		{State: Available, Parent: Provisioned, Healthy: true, Stable: true, To: lifecycle.To(Unavailable, Deleting)},
//		{State: Unavailable, Parent: Provisioned, Budget: time.Minute, Late: NeedsPromote, To: lifecycle.To(Available, Failed, Deleting)},
//		{State: Failed, Stable: true, To: lifecycle.To(Deleting)},
//		{State: Deleting, Deleting: true, Budget: time.Hour, To: lifecycle.To(Deleted)},
//		{State: Deleted, Final: true},
//	}
//
// # The model
//
// An object is in exactly one state, from its creation in the first row's to its end in a final one. A state may be healthy (one wants to
// be in it), stable (one expects to stay in it), both, or neither. A state that is not both should have a budget: after it the
// object is late, people are told, and a signal can be raised that sets a repair in motion. States can be nested in parents, for
// reading: no object is ever in a parent, and no rule hangs on one.
//
// # What is checked
//
// [Check] refuses tables in which an object could be caught: states that cannot be reached, that have no way out, or from which there is no
// way to deletion; ways that lead nowhere or out of a final state; budgets that nothing could follow. Its error lists every fault in
// words with the table drawn beneath, so that the author sees the row in question. [Advise] lists what is allowed and yet worth a second look.
//
// # What is promised
//
// [Text], [Mermaid] and [DOT] draw a table the same every time, so that a drawing can be kept under version control and compared.
// The rules themselves are enforced for every writer by the database (see package store).
package lifecycle
