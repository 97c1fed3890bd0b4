// Package cluster divides the work of one database among the processes that run on it.
//
// All objects belong to one of [resource.Shards] shards, by their name. An [Owner] says which of them are this process's, and tells who does the work, the engine, what comes and goes:
//
//	m, err := cluster.New(cluster.Options{Store: db, Node: id, Health: engine.Working})
//	...
//	err = m.Run(ctx, work)                // Gained, Release, Lost; until ctx ends
//
// and whoever does something about a shard asks first:
//
//	if now, _ := m.Trusted(shard); now {  // before a call to a subsystem
//		fence, _ := m.Fence(shard)        // for the call's epoch, and for every commit
//	}
//
// There are two owners. A [Solo] has all shards or none, by one lease: for a database that one process works on at a time. A [Member] is one node of several. The rest of this text is about it.
//
// # What the database knows
//
// Three things. Which nodes are members: those whose last beat is not older than their time to live, by the database's clock. Which shard is which node's, under which epoch. And a version that rises when
// assignments change. Nodes do not talk to each other, none is the leader, and nobody assigns work to others: each takes what falls to it, and gives up what is too much.
//
// An assignment outlives membership. A node that cannot reach the database loses nothing by that alone; it loses a shard when another takes it, which is only possible once it is no member any more. And that it
// has been silent says nothing about whether it has stopped. So each take raises the shard's epoch, every commit is compared with it, and every call carries it.
//
// # The beat
//
// Every 3/10 of the time to live a node beats: one statement that renews its membership and returns who else is a member and, when something has changed, who has what. A further beat comes when the database
// says that something has changed, when a commit was refused ([Member.Fenced]), and just after the moment at which the next node would lapse; never sooner than 50 ms after the last. When no answer comes it is repeated
// with a growing, random delay of at most a second. At rest there is one statement per node and interval, and nothing else.
//
// # Trust
//
// Commits need no trust, as the database compares epochs. A call to a subsystem does: it may begin only while nobody else can have the shard, that is until a time to live after the last answered beat was sent, less a
// margin (package lease). A beat that is answered renews this for all shards at once, and it brings the news of what was lost. Both come into effect so that nobody sees one without the other: what was lost
// is taken away first, and who asks looks at trust first. A node that was frozen for minutes therefore finds, with the first answer, either that a shard is still its own at the same epoch, or that it is not.
//
// # Who takes what
//
// After each beat every node computes the same thing from the same table. Fit are the members that are neither cordoned nor in trouble. Each should have 256/n shards; who has most now keeps the odd ones. The open
// shards, nobody's and those of nodes that have lapsed, are dealt to the fit nodes in order, up to their shares; a node takes what falls to it and leaves the rest, so that they do not reach for the same ones. Should
// they know different things, the database decides, each shard by itself. What nobody has taken for a time to live is taken by whoever sees it, and then nothing is moved back for ten: those it fell to could not take it.
//
// Whoever lives beats as soon as something is open. A member that has not, half a second later, is silent: it may be dead or frozen, and lapse much later than what is open. Nothing falls to it until it is heard of.
// And a member that was cut off, and is back, leaves what is open alone for a moment, because all others may have been cut off too; it says so, and those who were not do not wait for it.
//
// A node that has more than its share gives up the surplus: it lets what is under way finish (Release), and then makes the shards nobody's, [Ramp].Move at a time, while nothing else is open and once the same
// nodes have been there for [Ramp].Settle. Nothing moves that does not have to.
//
// # Pace
//
// Shards are taken in batches: 64 at once and every 250 ms by default. One node that takes over everything is through after 750 ms, so that all shards of a node that died are taken within its time to live and a second.
// How fast the objects in them are then gone through is the engine's business. [Member.Pause] stops one node from taking shards.
//
// The brake for people is for that: the pause of the take-up ([store.Sharded].Pause). Every beat brings it, and an [Owner] tells the engine until when to stand still ([Owner].TakeUpPaused), from before anything is gained. Shards are
// taken and given as ever, so that nothing is without an owner, and only objects that nobody has a reason to look at but that their node has changed are not looked at.
//
// # Leaving
//
// When Run's context ends, the node lets what is under way finish, for at most [Options].Grace, while it keeps beating, so that this can be committed. Then it leaves, and the others take its shards at once. A cordoned
// node ([store.Sharded].Cordon) does the same in batches, and stays a member without shards.
//
// # Alive is not well
//
// A node whose beats pass may hang all the same. It asks its own Health: complaints that last for [Options].Patience, while beats are answered, make it say in its beats that it is in trouble, and the others deal it nothing
// more. If it is still so a time to live later, and another member is well, it gives up everything at once, without waiting for what hangs; the epochs cut that off. The delay is there because trouble often has one cause for
// all, such as a subsystem: nodes that say so at the same time keep what they have. So does the last one that stands: what works of it goes on. It takes shards again after
// Health has been content for [Options].Recovery, which doubles each time up to sixteenfold, so that what makes nodes ill one after the other moves ever more slowly.
//
// # Answers that are lost
//
// One goroutine speaks to the database, one call after the other, and what it does follows from the table alone. A take without an answer shows in the next table as a shard that is this node's at an epoch it never had: it is
// worked on. One at an epoch that it had and let go of is given up again. What is late does no harm: a late take finds the shard taken, a late gift finds another epoch.
//
// # What is promised
//
//   - At any time at most one node owns a shard and trusts that. Its epochs rise with every assignment, whoever has it.
//   - When faults end, every shard is owned by a live, fit node within a few beats, and the numbers differ by one at most.
//   - A dead node's shards are taken within its time to live and a second, while the database answers; a stopping node's as soon as it has let go.
//   - An outage of the database moves nothing by itself: who is answered first afterwards gives the others, who have lapsed like itself, two seconds to come back.
//
// # What is not
//
//   - That a shard always has an owner: between two it is nobody's, for a moment or for a time to live.
//   - That nodes share the load evenly. They share the shards; what is in them differs.
//   - That a node notices that its machine slept before the next beat: see package lease.
//
// Source of the scheme: membership by leases and ownership by fenced epochs go back to Gray and Cheriton (1989) and to Chubby (Burrows, 2006); to let each node compute the same shares from
// a table in the database, instead of electing one that decides, saves a second kind of failure.
package cluster
