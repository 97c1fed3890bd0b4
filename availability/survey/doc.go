// Package survey asks a plane how available its objects were.
//
//	window, err := survey.Period{Length: 30 * 24 * time.Hour}.Window(time.Now())
//	answer, err := survey.Ask(ctx, plane, survey.Question{Kind: databases, Namespace: "shop", Window: window})
//	fmt.Print(answer.Groups, answer.Curve)
//
// Package availability computes, and reads nothing; this one reads: the history from the database, the present from memory. The doors (the API, and through it the
// command line) ask with [Ask]; who asks again and again, as metrics do, keeps a [Book], which reads only what has been added.
//
// # What is read
//
// Of one object everything that is kept is read, so its figures are exact as far as the history reaches. Of a kind the transitions within the window are read, a page at a
// time. What an object was in before follows from its first transition, or from the object itself. Only when that is a state that is not healthy, the history of that one
// object is read as well: an outage has the length that it has, also when it began before the window.
//
// The present is taken before the history is read, so that of the two the history is never the older.
//
// # Bounds
//
// [Limits] bound the work: beyond so many objects the rest is left out, in the order of namespaces and names, and [Answer].LeftOut says how many; beyond so many transitions
// there is no answer but [ErrTooMuch], as leaving any out would make the figures wrong. Beyond so many objects that began the window in trouble, the
// further ones' outages count from the window's beginning and are marked as truncated.
package survey
