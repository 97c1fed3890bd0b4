package backupapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path/filepath"
)

// Path is where to mount [Handler].
const Path = "/setpoint/v1/backup"

// maxBody bounds a request.
const maxBody = 64 << 10

// Handler makes backups by calling backup, which must return when the file at path is complete and durable. Its context ends when the client leaves.
func Handler(backup func(ctx context.Context, path string) error) http.Handler {
	running := make(chan struct{}, 1)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, err := read(w, r)
		if err != nil {
			err.send(w)
			return
		}
		select {
		case running <- struct{}{}:
			defer func() { <-running }()
		default:
			w.Header().Set("Retry-After", "5")
			refuse(http.StatusTooManyRequests, "TooManyRequests", "another backup is being made; ask again when it is done").send(w)
			return
		}
		if err := backup(r.Context(), path); err != nil {
			refuse(http.StatusInternalServerError, "InternalError", "the backup to %s failed: %v; what it left there is not a backup", path, err).send(w)
			return
		}
		send(w, http.StatusOK, map[string]string{"path": path})
	})
}

// Refuse answers every request with why this server makes no backups: 405, which clients take as final.
func Refuse(why error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", "")
		refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", "%v", why).send(w)
	})
}

// read judges a request and returns the path it asks for.
func read(w http.ResponseWriter, r *http.Request) (string, *refusal) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		return "", refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", "ask for a backup with POST")
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return "", refuse(http.StatusUnsupportedMediaType, "UnsupportedMediaType", `send application/json: {"path": "/absolute/path"}`)
	}
	var body struct {
		Path string `json:"path"`
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		return "", refuse(http.StatusBadRequest, "BadRequest", `the body cannot be read: %v; want {"path": "/absolute/path"}`, err)
	}
	if err := checkPath(body.Path); err != nil {
		return "", refuse(http.StatusUnprocessableEntity, "Invalid", "path %q %v", body.Path, err)
	}
	return body.Path, nil
}

func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("is missing")
	case !filepath.IsAbs(path):
		return errors.New("is not absolute: say where on the server's machine")
	case filepath.Clean(path) != path:
		return fmt.Errorf("is not in its shortest form, which is %s", filepath.Clean(path))
	}
	if folder, err := os.Stat(filepath.Dir(path)); err != nil || !folder.IsDir() {
		return errors.New("is in a folder that does not exist on the server's machine")
	}
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		return errors.New("exists already: a backup replaces nothing; choose another name")
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot be looked at: %w", err)
	}
	return nil
}

// refusal is an error in the form of the dialect.
type refusal struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Status     string `json:"status"`
	Message    string `json:"message"`
	Reason     string `json:"reason"`
	Code       int    `json:"code"`
}

func refuse(code int, reason, format string, args ...any) *refusal {
	return &refusal{Kind: "Status", APIVersion: "v1", Status: "Failure", Message: fmt.Sprintf(format, args...), Reason: reason, Code: code}
}

func (f *refusal) send(w http.ResponseWriter) { send(w, f.Code, f) }

func send(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic("backupapi: " + err.Error()) // texts and numbers always encode
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if _, err := w.Write(append(body, '\n')); err != nil {
		panic(http.ErrAbortHandler) // the client is gone: end the connection
	}
}
