package postgres

import (
	"log/slog"
	"testing"
)

// testLog writes the engine's log into the test's, which is shown when it fails.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}
