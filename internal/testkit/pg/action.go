package pg

// Action is what becomes of a message at a [Proxy]. The zero Action is [Pass].
type Action struct {
	kind  kind
	bytes int
	until <-chan struct{}
}

type kind int

const (
	pass kind = iota
	drop
	cut
	cutWithin
	cutThenDeliver
)

// Pass delivers the message.
func Pass() Action { return Action{} }

// Drop takes the message out of the stream; the connection goes on.
func Drop() Action { return Action{kind: drop} }

// Cut resets both ends of the connection; the message is lost.
func Cut() Action { return Action{kind: cut} }

// CutWithin delivers the first bytes of the message. Then the sender's end is reset, and the receiver's ends.
func CutWithin(bytes int) Action { return Action{kind: cutWithin, bytes: bytes} }

// Delay holds the message, and those behind it, until the channel is closed.
func Delay(until <-chan struct{}) Action { return Action{until: until} }

// DeliverAndCut delivers the message and resets the sender's end, so that no reply to it can arrive. Then the
// receiver's end of the connection ends. It is how a COMMIT succeeds and its client does not learn of it. Should the
// client now ask to cancel what it has lost sight of, as pgx does, that is refused: the message would be in vain.
func DeliverAndCut() Action { return Action{kind: cutThenDeliver} }

// CutThenDeliver resets the sender's end at once. When the channel is closed, the message arrives all the same, with
// what the sender had sent behind it, and then the receiver's end of the connection ends. Cancelling is refused too.
func CutThenDeliver(until <-chan struct{}) Action { return Action{kind: cutThenDeliver, until: until} }
