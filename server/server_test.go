package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/server"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// start runs a server, and returns its URL and a function that stops it and returns what it ended with.
func start(t *testing.T, database string) (url string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	listening, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		o := options(database)
		o.Listening = func(url string) error { listening <- url; return nil }
		ended <- server.Run(ctx, o)
	}()
	stop = func() error { cancel(); return <-ended }
	select {
	case url := <-listening:
		return url, stop
	case err := <-ended:
		ended <- err
		t.Fatalf("the server ended: %v", err)
		return "", nil
	}
}

func TestAServerServesAndStops(t *testing.T) {
	for _, c := range []struct {
		engine, reason string
		database       func(t *testing.T) string
	}{
		{"sqlite", "a file is backed up by the server", func(t *testing.T) string { return filepath.Join(t.TempDir(), "setpoint.db") }},
		{"postgres", "a PostgreSQL database is backed up by its own tools, and the server says so", func(t *testing.T) string { return pg.Shared(t).Database(t) }},
	} {
		t.Run(c.engine, func(t *testing.T) { t.Log(c.reason); servesAndStops(t, c.engine, c.database(t)) })
	}
}

func servesAndStops(t *testing.T, engine, database string) {
	url, stop := start(t, database)
	c, err := client.New(client.Config{Server: url})
	if err != nil {
		t.Fatal(err)
	}
	kind, err := c.Resolve(t.Context(), "notes")
	if err != nil {
		t.Fatal(err)
	}
	note := &client.Object{
		APIVersion: "test.example/v1", Kind: "Note", Metadata: client.Metadata{Name: "n", Namespace: "default"}, Spec: json.RawMessage(`{"text":"hello"}`),
	}
	if _, err := c.Create(t.Context(), kind, note, client.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	ref := client.Ref{Namespace: "default", Name: "n"}
	measured, err := c.Wait(t.Context(), kind, ref, func(o *client.Object) (bool, error) {
		return strings.Contains(string(o.Status), `"length":5`), nil
	})
	if err != nil || !strings.Contains(string(measured.Status), "AtSetpoint") {
		t.Fatalf("its controller: %v %v", measured, err)
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/version", "/setpoint/v1/kinds"} {
		r, err := http.Get(url + path)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("GET %s: %v %v", path, r, err)
		}
		if err := r.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	err = c.Backup(t.Context(), filepath.Join(t.TempDir(), "backup"))
	if engine == "postgres" && (!errors.Is(err, client.ErrInvalid) || !strings.Contains(err.Error(), "pg_basebackup")) || engine == "sqlite" && err != nil {
		t.Errorf("a backup: %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
	c.Close()
	if err := stop(); err != nil {
		t.Errorf("the server ended with %v, want nothing to complain about", err)
	}
	// What was stored is there for the next server.
	url, stop = start(t, database)
	if c, err = client.New(client.Config{Server: url}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context(), kind, ref); err != nil {
		t.Error(err)
	}
	c.Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAServerRefusesWhatItCannotDo(t *testing.T) {
	database := filepath.Join(t.TempDir(), "setpoint.db")
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: database})
	if err != nil {
		t.Fatal(err)
	}
	err = server.Run(t.Context(), server.Options{Listen: "127.0.0.1:0", Store: database})
	if !errors.Is(err, sqlite.ErrInUse) {
		t.Errorf("on a database in use: %v, want ErrInUse", err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if err := server.Run(t.Context(), server.Options{Listen: "nowhere", Store: database}); err == nil || !strings.Contains(err.Error(), "listen") {
		t.Errorf("on an address that cannot be: %v", err)
	}
}
