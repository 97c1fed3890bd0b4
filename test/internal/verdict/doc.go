// Package verdict asks a PostgreSQL database of Setpoint's, past all nodes, how things stand and whether what was done to it was right.
//
//	d := verdict.Database{T: t, URL: url}
//	d.Rest(diagnose) // wait until nothing is written any more
//	d.Legal()        // only transitions that their tables allow, and a feed without a gap
//	d.Owned()        // every shard is a live member's
package verdict
