// Package feed is the part of a change stream that every engine has alike: the newest commits in memory, and streams that read them there, or, having
// fallen behind, from the database.
//
// The engine calls [Feed.Publish] with every commit, in order and without a gap; it is the only writer. Streams come from [Feed.Watch]; they hold nothing
// of the database while they wait.
package feed
