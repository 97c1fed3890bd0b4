// Package ledger judges a database from outside, by two questions: is every row there that was acknowledged, and do never two servers take writes at once?
//
//	writers := ledger.Write(t, url, 3, 20*time.Millisecond)          // through the address of the database
//	prober := ledger.Probe(t, proberURL)                             // past it, at each server's own port
//	prober.Watch("orders.s1-0", "127.0.0.1:5433")
//	// the servers and whoever steers them are killed …
//	writers.Stop()
//	prober.Stop()
//	problems, err := writers.Ledger.Check(ctx, writers.URL)          // what was acknowledged and is lost, what was refused and is there
//	problems = append(problems, prober.Rivals()...)
//
// What is known of each row is one of three: acknowledged, refused, or in doubt, when no answer came. Of rows in doubt nothing is asked.
package ledger
