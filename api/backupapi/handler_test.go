package backupapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/api/backupapi"
)

func ask(h http.Handler, method, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, backupapi.Path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const media = "application/json"

// TestBackup: the function is called with the path, once.
func TestBackup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "copy.db")
	var asked []string
	h := backupapi.Handler(func(_ context.Context, path string) error {
		asked = append(asked, path)
		return nil
	})
	if w := ask(h, "POST", media+"; charset=utf-8", `{"path":"`+path+`"}`); w.Code != 200 || !strings.Contains(w.Body.String(), path) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if len(asked) != 1 || asked[0] != path {
		t.Errorf("asked for %q, want %s", asked, path)
	}
}

// TestRefusals: nothing is written for a request that is not clearly one for a new file.
func TestRefusals(t *testing.T) {
	folder := t.TempDir()
	there := filepath.Join(folder, "there.db")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h := backupapi.Handler(func(_ context.Context, path string) error {
		t.Errorf("a backup was made at %s", path)
		return nil
	})
	for _, test := range []struct {
		method, media, body string
		code                int
		says, reason        string
	}{
		{"GET", media, "", 405, "POST", "reading is not asking for one"},
		{"POST", "text/plain", `{"path":"/tmp/x"}`, 415, "application/json", "a page of another site can send text"},
		{"POST", "", `{"path":"/tmp/x"}`, 415, "application/json", "or nothing"},
		{"POST", media, `{"path":`, 400, "cannot be read", "half a body"},
		{"POST", media, `{"file":"/tmp/x"}`, 400, "unknown field", "another field"},
		{"POST", media, `{"path":"/` + strings.Repeat("x", 70_000) + `"}`, 400, "too large", "a body without end"},
		{"POST", media, `{}`, 422, "is missing", "no path"},
		{"POST", media, `{"path":"copy.db"}`, 422, "not absolute", "a path from where?"},
		{"POST", media, `{"path":"` + folder + `/../x"}`, 422, "shortest form", "a path that wanders"},
		{"POST", media, `{"path":"` + folder + `/no/x"}`, 422, "does not exist", "a folder that is not there"},
		{"POST", media, `{"path":"` + there + `"}`, 422, "exists already", "a file that is there"},
		{"POST", media, `{"path":"` + there + `/x"}`, 422, "does not exist", "a file is no folder"},
	} {
		w := ask(h, test.method, test.media, test.body)
		if w.Code != test.code || !strings.Contains(w.Body.String(), test.says) || !strings.Contains(w.Body.String(), `"kind":"Status"`) {
			t.Errorf("%s: %d %s, want %d with %q", test.reason, w.Code, w.Body, test.code, test.says)
		}
	}
}

// TestFailure: a failed backup is not taken for one.
func TestFailure(t *testing.T) {
	h := backupapi.Handler(func(context.Context, string) error { return errors.New("disk full") })
	w := ask(h, "POST", media, `{"path":"`+filepath.Join(t.TempDir(), "x")+`"}`)
	if w.Code != 500 || !strings.Contains(w.Body.String(), "disk full; what it left there is not a backup") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestOneAtATime: while a backup is made, the next is told to come again.
func TestOneAtATime(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	h := backupapi.Handler(func(context.Context, string) error {
		close(began)
		<-end
		return nil
	})
	body := `{"path":"` + filepath.Join(t.TempDir(), "x") + `"}`
	first := make(chan int)
	go func() { first <- ask(h, "POST", media, body).Code }()
	<-began
	if w := ask(h, "POST", media, body); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d, want 429 and when to come again", w.Code)
	}
	close(end)
	if code := <-first; code != 200 {
		t.Errorf("the first got %d", code)
	}
}

// TestRefuse: a server that makes no backups says why, whatever it is asked, in a way that clients take as final.
func TestRefuse(t *testing.T) {
	h := backupapi.Refuse(errors.New("ask the database"))
	for _, method := range []string{"POST", "GET"} {
		w := ask(h, method, media, `{"path":"/tmp/x"}`)
		if _, there := w.Header()["Allow"]; w.Code != 405 || !there || !strings.Contains(w.Body.String(), `"message":"ask the database"`) {
			t.Errorf("%s: %d %v %s", method, w.Code, w.Header(), w.Body)
		}
	}
}
