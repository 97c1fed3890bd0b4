package store

import (
	"os"
	"strconv"
)

// ProcessName is "host/pid": how a process calls itself in a [Lease.Holder], in history and at a database, where nobody has given it a better name. A number comes
// again, so it does not tell two runs apart.
func ProcessName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "/" + strconv.Itoa(os.Getpid())
}
