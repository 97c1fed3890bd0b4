// Package codec holds the binary form in which engines store commits and commands: what [store.Batch] and [command.Command] say,
// without the revision, which is a column of its own and is spliced in when read.
//
// A body is a version byte followed by the parts in a fixed order. Whole numbers are varints, texts and bytes are their
// length and then themselves, times are nanoseconds since 1970 (0 for the zero time), and a list is its count and then its items.
// Bytes that may be nil, where nil differs from empty, are stored as length + 1. Spec and status are copied as
// they are; nothing is parsed and printed again on the way.
//
// A reader that meets a version byte it does not know fails; a change of form takes a new version and keeps the old reader.
package codec
