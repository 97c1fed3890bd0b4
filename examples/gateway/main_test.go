package gateway_test

import (
	"testing"

	"github.com/setpointhq/setpoint/internal/testkit/pg"
)

func TestMain(m *testing.M) { pg.Main(m) }
