package postgres

import "github.com/jackc/pgx/v5/pgtype"

// The columns of setpoint.commit_v1, in the order of its parameters.
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
	objectUid
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
	consumeId
	raiseMember
	raiseOwn
	raiseKind
	raiseNamespace
	raiseName
	raiseHash
	raiseUid
	raiseSignal
	raisePayload
	raiseBy
	raiseAt
	timerMember
	timerOwn
	timerKind
	timerNamespace
	timerName
	timerUid
	timerController
	timerDue
	timerCode
	eventMember
	eventKind
	eventNamespace
	eventName
	eventHash
	eventUid
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
	objectUid:           pgtype.TextOID,
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
	consumeId:           pgtype.Int8OID,
	raiseMember:         pgtype.Int4OID,
	raiseOwn:            pgtype.BoolOID,
	raiseKind:           pgtype.TextOID,
	raiseNamespace:      pgtype.TextOID,
	raiseName:           pgtype.TextOID,
	raiseHash:           pgtype.Int8OID,
	raiseUid:            pgtype.TextOID,
	raiseSignal:         pgtype.TextOID,
	raisePayload:        pgtype.TextOID,
	raiseBy:             pgtype.TextOID,
	raiseAt:             pgtype.Int8OID,
	timerMember:         pgtype.Int4OID,
	timerOwn:            pgtype.BoolOID,
	timerKind:           pgtype.TextOID,
	timerNamespace:      pgtype.TextOID,
	timerName:           pgtype.TextOID,
	timerUid:            pgtype.TextOID,
	timerController:     pgtype.TextOID,
	timerDue:            pgtype.Int8OID,
	timerCode:           pgtype.TextOID,
	eventMember:         pgtype.Int4OID,
	eventKind:           pgtype.TextOID,
	eventNamespace:      pgtype.TextOID,
	eventName:           pgtype.TextOID,
	eventHash:           pgtype.Int8OID,
	eventUid:            pgtype.TextOID,
	eventSeverity:       pgtype.TextOID,
	eventReason:         pgtype.TextOID,
	eventMessage:        pgtype.TextOID,
}
