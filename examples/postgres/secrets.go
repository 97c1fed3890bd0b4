package postgres

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"

	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
)

// Secrets makes passwords. A turn is pure, so a password is computed and not drawn: from a key that is kept apart from the database, for whom it is, and how often it has
// been rotated. Whoever has the key has all passwords.
type Secrets struct{ Key []byte }

func (s Secrets) derive(what ...string) string {
	mac := hmac.New(sha256.New, s.Key)
	for _, w := range what {
		mac.Write([]byte(strconv.Itoa(len(w)) + ":" + w)) // a hash never fails to write
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:24])
}

func (s Secrets) password(c *Credential) string {
	return s.derive("credential", string(c.UID), strconv.Itoa(c.Spec.Rotation))
}

// replication is the role by which the servers of a namespace follow each other.
func (s Secrets) replication(v *Server) host.Login {
	return host.Login{User: "replication", Password: s.derive("replication", string(v.Namespace))}
}
