package codec

import (
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// commandVersion is the first byte of a stored command.
const commandVersion = 1

// AppendCommand appends the stored form of c, without its revision.
func AppendCommand(dst []byte, c *command.Command) []byte {
	w := writer{dst}
	w.byte(commandVersion)
	w.command(c)
	return w.b
}

// Command reads what [AppendCommand] wrote, and sets the revision. The result refers to body, which must not change afterwards.
func Command(body []byte, rev resource.Revision) (command.Command, error) {
	r := reader{b: body}
	if v := r.byte(); v != commandVersion {
		r.fail("unknown version of a command")
	}
	c := r.command()
	c.Revision = rev
	return c, r.end()
}

func (w *writer) command(c *command.Command) {
	w.text(string(c.Owner))
	w.text(string(c.Adapter))
	w.text(c.Key)
	w.key(c.Object)
	w.text(c.Controller)
	w.uint(c.Intent)
	w.text(string(c.Token))
	w.text(c.Destination)
	w.text(c.Unit)
	w.bytes(c.Request)
	w.time(c.Deadline)
	w.text(string(c.Phase))
	w.int(int64(c.Attempt))
	w.time(c.NotBefore)
	w.bytes(c.Result)
	w.text(c.Handle)
	w.text(string(c.Class))
	w.text(c.Message)
	w.bool(c.Unknown)
	w.time(c.Created)
	w.time(c.Changed)
}

func (r *reader) command() command.Command {
	return command.Command{
		Slot: command.Slot{
			Owner:   resource.UID(r.text()),
			Adapter: command.AdapterName(r.text()),
			Key:     r.text(),
		},
		Object:      r.key(),
		Controller:  r.text(),
		Intent:      r.uint(),
		Token:       command.Token(r.text()),
		Destination: r.text(),
		Unit:        r.text(),
		Request:     r.bytes(),
		Deadline:    r.time(),
		Phase:       command.Phase(r.text()),
		Attempt:     int(r.int()),
		NotBefore:   r.time(),
		Result:      r.bytes(),
		Handle:      r.text(),
		Class:       command.Class(r.text()),
		Message:     r.text(),
		Unknown:     r.bool(),
		Created:     r.time(),
		Changed:     r.time(),
	}
}
