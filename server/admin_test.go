package server_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
)

// urls is a log handler that hears where administrators are served.
type urls struct {
	slog.Handler
	found chan string
}

func (u urls) Enabled(context.Context, slog.Level) bool { return true }

func (u urls) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "administrators") {
		r.Attrs(func(a slog.Attr) bool { u.found <- a.Value.String(); return false })
	}
	return nil
}

// TestAdministratorsHaveALaneOfTheirOwn: the same doors, another name in the history, and gone with the server.
func TestAdministratorsHaveALaneOfTheirOwn(t *testing.T) {
	for engine, database := range map[string]string{"sqlite": filepath.Join(t.TempDir(), "setpoint.db"), "postgres": pg.Shared(t).Database(t)} {
		t.Run(engine, func(t *testing.T) {
			heard := urls{slog.DiscardHandler, make(chan string, 1)}
			o := options(database)
			o.AdminListen, o.Logger = "127.0.0.1:0", slog.New(heard)
			s := serveNotes(t, o)
			plane := <-s.plane
			url := <-heard.found
			c, kind := writeNote(t, url, "n", "four")
			ref := client.Ref{Namespace: "default", Name: "n"}
			entries, err := c.History(t.Context(), kind, ref, client.HistoryOptions{})
			if err != nil || len(entries) == 0 || entries[0].Writer.Name != "admin:anonymous" {
				t.Errorf("the history says %+v, %v", entries, err)
			}
			if o, found := plane.View().Get(notes.Key("default", "n")); !found || o.Name != "n" {
				t.Error("the plane does not have what was written there")
			}
			if err := s.stop(); err != nil {
				t.Fatal(err)
			}
			if err := c.Live(t.Context()); err == nil {
				t.Error("the lane is served after the end")
			}
		})
	}
}
