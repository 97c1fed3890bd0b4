// Package alert tells people that resources are in trouble: once per cause, and not once per resource.
//
// A plane says who is in trouble; the package groups them, and tells an Alertmanager, or webhooks, what becomes of the groups:
//
//	pager, err := alert.NewAlertmanager(alert.AlertmanagerOptions{URL: "http://alertmanager:9093", Plane: "edge"})
//	chat, err := alert.NewWebhook(alert.WebhookOptions{URL: "https://chat.example/hook", Plane: "edge", Key: key})
//	n := alert.New(alert.Options{Senders: []*alert.Sender{pager, chat}})
//	go func() { ended <- n.Run(ctx) }()            // tells
//	go func() { ended <- n.Watch(ctx, plane) }()   // is told
//
// [Notifier.Watch] calls [Notifier.Observe] for every object once and for every change of one, and [Notifier.Forget] when it is gone; who has objects but no plane
// calls them. [Judge] finds what an object itself says: its action stands still until an operator decides, a controller has given up, or it is in an unstable or
// unhealthy state for longer than the budget of that state. What else is worth telling is said with [Notifier.Set] and [Notifier.Remove], under a [Source]
// of its own.
//
// # Model
//
// A [Trouble] is one thing that is wrong with one object. A [Group] is all troubles of the same kind, state and cause: a thousand devices that fail for want of an
// address are one group with a count of 1,000, the highest severity among them, and the ten that have been waiting longest as examples.
// Causes are codes, so that they can be compared; what is particular to an object belongs into the message.
//
// A [Grouper] says what of a group is worth telling: it is raised; its severity changes, or its count has doubled or halved; the count has been another one than was told for
// [Rules.Refresh]; nothing has been told for [Rules.Repeat]; it is cleared. A group that grows to n objects is therefore told about log n times. The grouper is a pure value
// without a clock.
//
// A [Sender] keeps, for one receiver, the latest state of each group, and not a list of what happened. A newer state replaces an older one that
// is still to be sent; so a receiver that was away for an hour gets one notice per group, of the present. A group that came and went without an attempt to tell of it
// is not told of at all.
//
//	what the receiver does            what the sender does
//	answers 2xx                       it is told
//	answers 408, 429, 5xx             again, after a backoff with jitter and a cap; no earlier than Retry-After says, within the cap
//	does not answer, answers garbage  the same
//	answers anything else             logged, counted, not repeated; the next state of the group is sent as usual
//
// A [Notifier] is a grouper behind a lock, with a clock and senders.
//
// # What is promised
//
// Nobody who reports a trouble ever waits for a receiver. Memory is bounded: one entry per object and source that is in trouble, at most [Rules.MaxGroups] groups and
// one, at most [Delivery.Capacity] groups per receiver. States of one group reach a receiver in order, at least once each time that one is sent. When Run is
// told to end, it tries for [Delivery.Grace] to deliver what is pending, and says what was left.
//
// # What is not promised
//
// Nothing is kept over a restart: a plane that starts says again what is so. An Alertmanager lets alerts lapse that nobody repeats. A webhook is not
// told that a group cleared while no process was running; a receiver that needs to know takes a firing group as cleared when it has not
// been repeated for twice [Rules.Repeat]. After a takeover another node begins with "raised"; the fingerprint says that it is the same group. What cleared in the five minutes before is told as cleared
// once more, as nobody knows whether that was told: it may be a group that a receiver has never heard of.
//
// While no process is certain that it is the one that tells, nobody tells: who cannot reach the database knows neither what has become of its troubles nor who tells instead. In an outage of the whole database an
// Alertmanager therefore lets all alerts lapse after its resolve_timeout, and hears of them again afterwards; that the database is away is told by the metrics of the processes themselves.
// Silences, routes and people on duty are an Alertmanager's business.
package alert
