package postgres

import (
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgtype"
)

// column is an array parameter in PostgreSQL's binary form, appended to value by value. A group has some eighty of them; going through the driver's
// general encoder, which looks at every value by reflection, costs more than the round trip.
type column struct {
	element uint32
	n       int
	nulls   bool
	b       []byte
}

// arrayHeader is the number of dimensions, whether there are nulls, the type of the elements, and the length and lower bound of the one dimension.
const arrayHeader = 20

func (c *column) grow(element uint32) {
	c.element = element
	c.n++
	if c.b == nil {
		c.b = make([]byte, arrayHeader, 128)
	}
}

// keepColumn is how much memory a column keeps from one group to the next.
const keepColumn = 1 << 20

func (c *column) reset() {
	if cap(c.b) > keepColumn {
		c.b = nil
	}
	if c.b != nil {
		c.b = c.b[:arrayHeader]
	}
	c.n, c.nulls = 0, false
}

func (c *column) int(v int) {
	c.grow(pgtype.Int4OID)
	c.b = binary.BigEndian.AppendUint32(c.b, 4)
	c.b = binary.BigEndian.AppendUint32(c.b, uint32(int32(v)))
}

func (c *column) int64(v int64) {
	c.grow(pgtype.Int8OID)
	c.b = binary.BigEndian.AppendUint32(c.b, 8)
	c.b = binary.BigEndian.AppendUint64(c.b, uint64(v))
}

func (c *column) bool(v bool) {
	c.grow(pgtype.BoolOID)
	c.b = binary.BigEndian.AppendUint32(c.b, 1)
	if v {
		c.b = append(c.b, 1)
	} else {
		c.b = append(c.b, 0)
	}
}

func (c *column) text(v string) {
	c.grow(pgtype.TextOID)
	c.b = binary.BigEndian.AppendUint32(c.b, uint32(len(v)))
	c.b = append(c.b, v...)
}

// json appends a text, nil being null.
func (c *column) json(v []byte) {
	c.grow(pgtype.TextOID)
	c.bytesOrNull(v)
}

// bytes appends a bytea, nil being null.
func (c *column) bytes(v []byte) {
	c.grow(pgtype.ByteaOID)
	c.bytesOrNull(v)
}

func (c *column) bytesOrNull(v []byte) {
	if v == nil {
		c.nulls = true
		c.b = binary.BigEndian.AppendUint32(c.b, 0xffffffff)
		return
	}
	c.b = binary.BigEndian.AppendUint32(c.b, uint32(len(v)))
	c.b = append(c.b, v...)
}

// noElements is an array without dimensions; the type of its elements is not looked at where the parameter has one.
func noElements(element uint32) []byte {
	b := make([]byte, 12)
	binary.BigEndian.PutUint32(b[8:], element)
	return b
}

// value is the parameter. element is for a column that nothing was appended to.
func (c *column) value(element uint32) []byte {
	if c.n == 0 {
		return noElements(element)
	}
	binary.BigEndian.PutUint32(c.b[0:], 1)
	binary.BigEndian.PutUint32(c.b[4:], 0)
	if c.nulls {
		binary.BigEndian.PutUint32(c.b[4:], 1)
	}
	binary.BigEndian.PutUint32(c.b[8:], c.element)
	binary.BigEndian.PutUint32(c.b[12:], uint32(c.n))
	binary.BigEndian.PutUint32(c.b[16:], 1)
	return c.b
}
