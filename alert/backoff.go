package alert

import (
	"math/rand/v2"
	"time"

	"github.com/setpointhq/setpoint/command"
)

// backoff is the wait after so many failures (from 1): a random time in the upper half of a window that doubles from base to limit. The lower half is left
// out because one sender talks to one receiver, and has to leave it some peace after every failure.
func backoff(base, limit time.Duration, failures int, random *rand.Rand) time.Duration {
	window := command.Window(base, limit, failures)
	return window/2 + time.Duration(random.Int64N(int64(window/2)+1))
}
