package gateway

import (
	"testing"

	"github.com/setpointhq/setpoint/test/internal/program"
)

func TestMain(m *testing.M) { program.Main(m) }
