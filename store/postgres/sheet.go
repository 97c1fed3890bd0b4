package postgres

import (
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// The columns of setpoint.commit_v2, in the order of its parameters.
const (
	memberBody = iota
	memberSignals
	memberWriter
	memberWriterObject
	memberCauseRevision
	memberCause
	fenceMember
	fenceScope
	fenceIncarnation
	fenceCounter
	readMember
	readKind
	readNamespace
	readName
	readRevision
	objectMember
	objectKind
	objectNamespace
	objectName
	objectUID
	objectShard
	objectHash
	objectExpect
	objectRemoved
	objectGeneration
	objectCreated
	objectDeleted
	objectState
	objectSince
	objectAttributes
	objectSpec
	objectStatus
	objectGone
	objectReason
	commandMember
	commandOwn
	commandOwner
	commandAdapter
	commandKey
	commandKind
	commandNamespace
	commandName
	commandHash
	commandExpect
	commandDelete
	commandClosed
	commandPhase
	commandIntent
	commandToken
	commandBody
	commandMessage
	consumeMember
	consumeID
	raiseMember
	raiseOwn
	raiseKind
	raiseNamespace
	raiseName
	raiseHash
	raiseUID
	raiseSignal
	raisePayload
	raiseBy
	raiseAt
	raiseWhy
	raiseDedupe
	raiseExpires
	raiseSeen
	timerMember
	timerOwn
	timerKind
	timerNamespace
	timerName
	timerUID
	timerController
	timerDue
	timerCode
	eventMember
	eventKind
	eventNamespace
	eventName
	eventHash
	eventUID
	eventSeverity
	eventReason
	eventMessage
	columnCount
)

// elements are the types of the columns' elements.
var elements = [columnCount]uint32{
	memberBody:          pgtype.ByteaOID,
	memberSignals:       pgtype.Int4OID,
	memberWriter:        pgtype.TextOID,
	memberWriterObject:  pgtype.TextOID,
	memberCauseRevision: pgtype.Int8OID,
	memberCause:         pgtype.TextOID,
	fenceMember:         pgtype.Int4OID,
	fenceScope:          pgtype.TextOID,
	fenceIncarnation:    pgtype.Int8OID,
	fenceCounter:        pgtype.Int8OID,
	readMember:          pgtype.Int4OID,
	readKind:            pgtype.TextOID,
	readNamespace:       pgtype.TextOID,
	readName:            pgtype.TextOID,
	readRevision:        pgtype.Int8OID,
	objectMember:        pgtype.Int4OID,
	objectKind:          pgtype.TextOID,
	objectNamespace:     pgtype.TextOID,
	objectName:          pgtype.TextOID,
	objectUID:           pgtype.TextOID,
	objectShard:         pgtype.Int4OID,
	objectHash:          pgtype.Int8OID,
	objectExpect:        pgtype.Int8OID,
	objectRemoved:       pgtype.BoolOID,
	objectGeneration:    pgtype.Int8OID,
	objectCreated:       pgtype.Int8OID,
	objectDeleted:       pgtype.Int8OID,
	objectState:         pgtype.TextOID,
	objectSince:         pgtype.Int8OID,
	objectAttributes:    pgtype.TextOID,
	objectSpec:          pgtype.TextOID,
	objectStatus:        pgtype.TextOID,
	objectGone:          pgtype.TextOID,
	objectReason:        pgtype.TextOID,
	commandMember:       pgtype.Int4OID,
	commandOwn:          pgtype.BoolOID,
	commandOwner:        pgtype.TextOID,
	commandAdapter:      pgtype.TextOID,
	commandKey:          pgtype.TextOID,
	commandKind:         pgtype.TextOID,
	commandNamespace:    pgtype.TextOID,
	commandName:         pgtype.TextOID,
	commandHash:         pgtype.Int8OID,
	commandExpect:       pgtype.Int8OID,
	commandDelete:       pgtype.BoolOID,
	commandClosed:       pgtype.BoolOID,
	commandPhase:        pgtype.TextOID,
	commandIntent:       pgtype.Int8OID,
	commandToken:        pgtype.TextOID,
	commandBody:         pgtype.ByteaOID,
	commandMessage:      pgtype.TextOID,
	consumeMember:       pgtype.Int4OID,
	consumeID:           pgtype.Int8OID,
	raiseMember:         pgtype.Int4OID,
	raiseOwn:            pgtype.BoolOID,
	raiseKind:           pgtype.TextOID,
	raiseNamespace:      pgtype.TextOID,
	raiseName:           pgtype.TextOID,
	raiseHash:           pgtype.Int8OID,
	raiseUID:            pgtype.TextOID,
	raiseSignal:         pgtype.TextOID,
	raisePayload:        pgtype.TextOID,
	raiseBy:             pgtype.TextOID,
	raiseAt:             pgtype.Int8OID,
	raiseWhy:            pgtype.TextOID,
	raiseDedupe:         pgtype.TextOID,
	raiseExpires:        pgtype.Int8OID,
	raiseSeen:           pgtype.Int8OID,
	timerMember:         pgtype.Int4OID,
	timerOwn:            pgtype.BoolOID,
	timerKind:           pgtype.TextOID,
	timerNamespace:      pgtype.TextOID,
	timerName:           pgtype.TextOID,
	timerUID:            pgtype.TextOID,
	timerController:     pgtype.TextOID,
	timerDue:            pgtype.Int8OID,
	timerCode:           pgtype.TextOID,
	eventMember:         pgtype.Int4OID,
	eventKind:           pgtype.TextOID,
	eventNamespace:      pgtype.TextOID,
	eventName:           pgtype.TextOID,
	eventHash:           pgtype.Int8OID,
	eventUID:            pgtype.TextOID,
	eventSeverity:       pgtype.TextOID,
	eventReason:         pgtype.TextOID,
	eventMessage:        pgtype.TextOID,
}

// sheet is a group laid out in columns.
type sheet struct {
	members int
	// bytes is about how much is on it.
	bytes   int
	columns [columnCount]column
}

// reset makes room for another group, in the memory of the last one.
func (s *sheet) reset() {
	s.members, s.bytes = 0, 0
	for i := range s.columns {
		s.columns[i].reset()
	}
}

// add appends a transaction.
func (s *sheet) add(d *draft.Draft) {
	s.members++
	s.bytes += d.Bytes
	c, n := &s.columns, s.members
	tx := &d.Tx
	c[memberBody].bytes(d.Body)
	c[memberSignals].int(len(tx.Raise))
	c[memberWriter].text(tx.Writer.Name)
	c[memberWriterObject].text(codec.Slashed(tx.Writer.Object))
	c[memberCauseRevision].int64(int64(tx.Cause.Revision))
	c[memberCause].text(tx.Cause.Text)
	for _, f := range tx.Fences {
		c[fenceMember].int(n)
		c[fenceScope].text(string(f.Scope))
		c[fenceIncarnation].int64(int64(f.Epoch.Incarnation))
		c[fenceCounter].int64(int64(f.Epoch.Counter))
	}
	for _, r := range tx.Reads {
		c[readMember].int(n)
		s.key(readKind, r.Key)
		c[readRevision].int64(int64(r.Revision))
	}
	for i := range tx.Objects {
		s.object(n, d, i)
	}
	for i := range tx.Commands {
		s.command(n, d, i)
	}
	for _, id := range tx.Consume {
		c[consumeMember].int(n)
		c[consumeID].int64(int64(id))
	}
	for i := range d.Batch.Raised {
		s.signal(n, d, i)
	}
	for i := range d.Batch.Timers {
		s.timer(n, d, &d.Batch.Timers[i])
	}
	for i := range tx.Events {
		e := &tx.Events[i]
		c[eventMember].int(n)
		s.key(eventKind, e.Object)
		c[eventHash].int64(codec.HashKey(e.Object))
		c[eventUID].text(string(e.UID))
		c[eventSeverity].text(e.Kind)
		c[eventReason].text(e.Reason)
		c[eventMessage].text(e.Message)
	}
}

// key appends a key to the three columns that begin with the one of the kind.
func (s *sheet) key(kind int, k resource.Key) {
	s.columns[kind].text(string(k.Kind))
	s.columns[kind+1].text(string(k.Namespace))
	s.columns[kind+2].text(string(k.Name))
}

func (s *sheet) object(n int, d *draft.Draft, i int) {
	c, w, change := &s.columns, &d.Tx.Objects[i], &d.Batch.Objects[i]
	o := change.Object
	c[objectMember].int(n)
	s.key(objectKind, o.Key)
	c[objectUID].text(string(o.UID))
	c[objectShard].int(int(resource.Shard(o.Namespace, o.Name)))
	c[objectHash].int64(codec.HashKey(o.Key))
	c[objectExpect].int64(int64(w.Expect))
	c[objectRemoved].bool(change.Removed)
	c[objectGeneration].int64(int64(o.Generation))
	c[objectCreated].int64(codec.Nanos(o.Created))
	c[objectDeleted].int64(codec.Nanos(o.Deleted))
	c[objectState].text(string(o.State))
	c[objectSince].int64(codec.Nanos(o.StateSince))
	c[objectAttributes].json(d.Attributes[i])
	c[objectSpec].json(o.Spec)
	c[objectStatus].json(o.Status)
	c[objectGone].text(string(w.Gone))
	c[objectReason].text(w.Reason)
}

func (s *sheet) command(n int, d *draft.Draft, i int) {
	c, w := &s.columns, &d.Tx.Commands[i]
	cmd := &w.Command
	c[commandMember].int(n)
	c[commandOwn].bool(d.Writes(cmd.Object))
	c[commandOwner].text(string(cmd.Owner))
	c[commandAdapter].text(string(cmd.Adapter))
	c[commandKey].text(cmd.Key)
	s.key(commandKind, cmd.Object)
	c[commandHash].int64(codec.HashKey(cmd.Object))
	c[commandExpect].int64(int64(w.Expect))
	c[commandDelete].bool(w.Delete)
	c[commandClosed].bool(!cmd.Phase.Open())
	c[commandPhase].text(string(cmd.Phase))
	c[commandIntent].int64(int64(cmd.Intent))
	c[commandToken].text(string(cmd.Token))
	c[commandBody].bytes(d.Commands[i])
	c[commandMessage].text(draft.Sentence(cmd))
}

func (s *sheet) signal(n int, d *draft.Draft, i int) {
	c, g := &s.columns, &d.Batch.Raised[i]
	c[raiseMember].int(n)
	c[raiseOwn].bool(d.Writes(g.Object))
	s.key(raiseKind, g.Object)
	c[raiseHash].int64(codec.HashKey(g.Object))
	c[raiseUID].text(string(g.UID))
	c[raiseSignal].text(string(g.Name))
	c[raisePayload].json(g.Payload)
	c[raiseBy].text(g.By)
	c[raiseAt].int64(codec.Nanos(g.At))
	c[raiseWhy].text(g.Why)
	c[raiseDedupe].text(g.Dedupe)
	c[raiseExpires].int64(codec.Nanos(g.Expires))
	c[raiseSeen].int64(int64(d.Tx.Raise[i].Seen))
}

func (s *sheet) timer(n int, d *draft.Draft, t *store.Timer) {
	c := &s.columns
	c[timerMember].int(n)
	c[timerOwn].bool(d.Writes(t.Object))
	s.key(timerKind, t.Object)
	c[timerUID].text(string(t.UID))
	c[timerController].text(t.Controller)
	c[timerDue].int64(codec.Nanos(t.Due))
	c[timerCode].text(t.Code)
}

// values are the parameters of setpoint.commit_v2.
func (s *sheet) values(committer, epoch, first int64) [][]byte {
	values := make([][]byte, 0, 3+columnCount)
	for _, v := range []int64{committer, epoch, first} {
		values = append(values, binary.BigEndian.AppendUint64(nil, uint64(v)))
	}
	for i := range s.columns {
		values = append(values, s.columns[i].value(elements[i]))
	}
	return values
}
