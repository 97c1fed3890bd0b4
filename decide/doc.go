// Package decide holds decision tables as data: which of a kind's actions follows which signals, in which state.
//
// An author writes rows. This is part of the table of a managed PostgreSQL, which stands whole in the package's example:
//
//	var table = decide.Table{
//		Signals: []decide.Signal{{Name: NeedsPromote, About: "make this replica the leader"}, …},
//		Actions: []decide.Action{{Name: Promote, Via: Promoting, To: Available, Else: Unavailable}, …},
//		Rows: []decide.Row{
//			{When: decide.All(NeedsUnfollow, NeedsFollow), Forbid: "following another is leaving this one already"},
//			{In: decide.In(Provisioned), When: decide.All(NeedsPromote), Guard: isReplica, Priority: 50, Do: Promote},
//			{In: decide.In(Provisioned), When: decide.All(NeedsPromote), Priority: 50, Ignore: "it leads already"},
//			{In: decide.In(Unavailable), When: decide.All(NeedsUnfollow), Priority: 40, Defer: "it cannot be asked"},
//			…
//		},
//	}
//
// and [Check] says before anything runs what is wrong with them. [Fire] asks the table about one object, [Explain] tells what it
// answered in words, [Always] proves that it always answers so, and [Text], [Markdown] and [HTML] print it.
//
// # The model
//
// Sensors, operators and other controllers raise signals; nobody starts an action directly. A row matches an object when its state is in the
// row's In, all signals of the row's condition stand and none of those excepted, and its guard holds. A guard is a question about the object
// that is only named here: the code beside the table answers it. Of the rows that match, one fires, and does one of three things with the
// signals it asked for: it starts an action, whose end consumes them; it ignores them, which consumes them at once; or it
// defers, which leaves them for another state (what state machines in UML call deferrable). Without the last, a durable signal could only be
// served, lost or refused. A fourth kind of row never fires: it forbids a combination, and the signal that would complete it is refused when it is raised.
//
// The table is asked only while an object rests. A state that is the Via of an action and in which nothing begins or ends is busy: an
// action runs there, one at a time, and signals wait. In deleting and final states the engine decides; a table can only forbid signals while an object is
// being deleted.
//
// An action can make way for signals that it has not read (Yield): it is undone, ends in its Else with all signals standing, and the table is asked again. The
// answer must be another one.
//
// A row that asks for no signal fires by itself, such as the one that provisions a new object. Since it consumes nothing, it must lead away
// from where it fires.
//
// # The hit policy
//
// The row with the highest priority fires. Within one priority, it is the one whose condition is the more specific: it holds in fewer
// states, asks for more signals, or adds a guard, and whatever it matches the other would match too. So an exception is written beside its rule, and needs no
// number. Two rows that match together with one priority, of which neither is more specific, and whose outcomes differ, are ambiguous
// and refused, unless a third always goes before one of them. What remains after that cannot make a difference, so that the order of rows means nothing:
// a table can be sorted for its readers. (The words come from decision tables in DMN, whose hit policy "unique" this is, made unique by priority and specificity.)
//
// # What is checked
//
// [Check] goes through every state with every combination of signals that can stand there, whatever the guards say. A combination can stand if its
// signals can have been raised one after the other, none of them refused, in that state or in others from which the lifecycle
// leads there; and its parts can, since signals are consumed and withdrawn. So a combination forbidden in one state, which an object
// can bring along from another, still needs an answer. Refused are:
//
//   - gaps: signals to which no row answers, or only rows under guards, which might all say no;
//   - rows that are shadowed: others go first wherever they match, or what they ask for can never stand;
//   - ambiguous rows;
//   - actions that the lifecycle does not allow from where a row starts them, or that go where only deletion leads;
//   - actions that make way for a signal and would then be chosen again;
//   - states from which the lifecycle does not lead to deletion, which is asked for at any time;
//   - states to which nothing leads, actions that nothing starts, signals that nothing reads, and rows without a signal that lead back to themselves;
//   - words that mean nothing, and tables too large to be gone through, which nobody could read either.
//
// The error lists every fault in words, names the rows by number and content, and draws the table with them marked. [Advise] lists what
// is allowed and yet worth a second look.
//
// # What is promised
//
// Everything here is a pure function of its arguments, safe for use by many goroutines. For a table that passes Check: whenever signals stand that the table
// allowed to be raised, in whatever resting state, exactly one row fires, and which one does not depend on the order of rows. [Mutants] makes the tables that differ by one slip of the pen, to test the claims that are made about a table.
package decide
