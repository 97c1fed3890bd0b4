package endpoint

import (
	"encoding/binary"
	"io"
	"net"
	"time"
)

// Codes of what a client may ask for before it says who it is (PostgreSQL's frontend/backend protocol).
const (
	askTLS    = 80877103
	askGSS    = 80877104
	askCancel = 80877102
)

// refusePatience bounds how long a refusal may take.
const refusePatience = 2 * time.Second

// refuse tells a client, in PostgreSQL's protocol, why it is not connected, and ends the connection. A request to cancel something gets no
// answer, as from a server.
func (p *endpoint) refuse(client *net.TCPConn, code, message string) {
	defer func() { p.closed(client.Close()) }()
	if p.ctx.Err() != nil {
		return
	}
	if err := client.SetDeadline(time.Now().Add(refusePatience)); err != nil {
		p.closed(err)
		return
	}
	for range 3 { // TLS, GSS, and then the start
		asked, err := startPacket(client)
		if err != nil || asked == askCancel {
			return
		}
		if asked != askTLS && asked != askGSS {
			break
		}
		if _, err := client.Write([]byte{'N'}); err != nil {
			return
		}
	}
	if _, err := client.Write(errorResponse(code, message)); err != nil {
		p.log.Debug("a client did not take its refusal", "endpoint", p.name, "error", err)
	}
}

// startPacket reads a message without a type, and returns its code.
func startPacket(from io.Reader) (uint32, error) {
	var head [8]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return 0, err
	}
	const most = 10000 // PostgreSQL's own bound
	length := binary.BigEndian.Uint32(head[:4])
	if length < 8 || length > most {
		return 0, io.ErrUnexpectedEOF
	}
	_, err := io.CopyN(io.Discard, from, int64(length)-8)
	return binary.BigEndian.Uint32(head[4:]), err
}

// errorResponse is a FATAL error.
func errorResponse(code, message string) []byte {
	var body []byte
	for _, field := range []string{"SFATAL", "VFATAL", "C" + code, "M" + message} {
		body = append(append(body, field...), 0)
	}
	body = append(body, 0)
	return append(binary.BigEndian.AppendUint32([]byte{'E'}, uint32(len(body)+4)), body...)
}
