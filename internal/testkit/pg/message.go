package pg

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// Message is one message of PostgreSQL's protocol as it is on the wire: a type, four bytes of length, the body. The
// first messages of a client, such as its startup message and a request to cancel, have no type, and begin with the length.
//
// Source: PostgreSQL's manual, "Frontend/Backend Protocol", Message Formats.
type Message []byte

// Type is the letter of the message's type: of a client's 'Q' query, 'P' parse, 'B' bind, 'E' execute, 'S' sync, 'X'
// terminate; of a server's 'C' command complete, 'D' data row, 'Z' ready for query, 'E' error, 'A' notification.
// It is 0 for those without a type.
func (m Message) Type() byte { return m[0] }

// SQL is the text of a query or parse message, and otherwise empty.
func (m Message) SQL() string {
	const header = 5
	switch {
	case len(m) < header:
	case m.Type() == 'Q':
		text, _, _ := bytes.Cut(m[header:], []byte{0})
		return string(text)
	case m.Type() == 'P':
		_, rest, _ := bytes.Cut(m[header:], []byte{0}) // the statement's name
		text, _, _ := bytes.Cut(rest, []byte{0})
		return string(text)
	}
	return ""
}

// Codes of the messages that a client may send before or instead of its startup message.
const (
	codeCancel = 80877102
	codeTLS    = 80877103
	codeGSSAPI = 80877104
)

// code is the protocol version or request code of a message without a type.
func (m Message) code() uint32 {
	const body = 4
	if len(m) < body+4 {
		return 0
	}
	return binary.BigEndian.Uint32(m[body:])
}

// key is what a request to cancel names a session by, in that request and in the message in which the server gave it to
// the client; empty in other messages.
func (m Message) key(typed bool) string {
	const header, code = 4, 4
	switch {
	case typed && m.Type() == 'K':
		return string(m[1+header:])
	case !typed && m.code() == codeCancel:
		return string(m[header+code:])
	}
	return ""
}

// readMessage reads a message, which has a type unless it is one of a client's first. With an error it returns the part
// of the message that has arrived.
func readMessage(r io.Reader, typed bool) (Message, error) {
	const longest = 1 << 30 // what PostgreSQL takes
	header := 4
	if typed {
		header++
	}
	m := make(Message, header)
	if n, err := io.ReadFull(r, m); err != nil {
		return m[:n], err
	}
	length := binary.BigEndian.Uint32(m[header-4:])
	if length < 4 || length > longest {
		return m, fmt.Errorf("message of type %q claims %d bytes", m.Type(), length)
	}
	body := bytes.NewBuffer(m)
	_, err := io.CopyN(body, r, int64(length)-4)
	return body.Bytes(), err
}

// reader buffers what one end sends, as much as it usually sends at once.
func reader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 64<<10) }
