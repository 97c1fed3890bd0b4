package cluster

import (
	"testing"

	"github.com/setpointhq/setpoint/test/internal/program"
)

func TestMain(m *testing.M) {
	program.MainOf(m, "github.com/setpointhq/setpoint/test/cluster/node")
}
