// Package command holds the vocabulary of effects: what a turn commits when something outside the
// database is to happen, and what an adapter answers.
//
// A command is the one effect primitive. A turn, which calls nothing, stages a [Command]; the commit that
// stores it is the decision, and everything after is delivery. Its [Slot] says what it is about (this
// object, that adapter, this natural key), its intent which wish for it this is, and its [Token] names that
// wish to the subsystem, the same in every attempt.
//
//	intent   the revision a wish was computed from: new when the request changes, or when what was
//	         acknowledged is observed gone
//	token    = hash(incarnation, slot, intent); stored, never recomputed
//	epoch    of the sender's lease; with the intent it orders the calls of one key
//
// A subsystem that keeps the highest (epoch, intent) per key and refuses lower ones cannot be harmed by a
// call that was delayed on its way, however long. One that cannot is wrapped by its natural key.
//
// The five outcomes of an attempt cover the four failures of a command (it never arrives; it is refused; it
// fails half-way; it succeeds and the acknowledgement is lost): the first and the last look alike from here,
// so both are [OutcomeUnknown], and are settled by [LookUp] or by repeating the same token.
package command
