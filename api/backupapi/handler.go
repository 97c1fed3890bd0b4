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

	"github.com/setpointhq/setpoint/api/internal/answer"
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
			err.Send(w)
			return
		}
		select {
		case running <- struct{}{}:
			defer func() { <-running }()
		default:
			w.Header().Set("Retry-After", "5")
			answer.Refuse(http.StatusTooManyRequests, "TooManyRequests", "another backup is being made; ask again when it is done").Send(w)
			return
		}
		if err := backup(r.Context(), path); err != nil {
			answer.Refuse(http.StatusInternalServerError, "InternalError", "the backup to %s failed: %v; what it left there is not a backup", path, err).Send(w)
			return
		}
		answer.Send(w, http.StatusOK, map[string]string{"path": path})
	})
}

// Refuse answers every request with why this server makes no backups: 405, which clients take as final.
func Refuse(why error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", "")
		answer.Refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", "%v", why).Send(w)
	})
}

// read judges a request and returns the path it asks for.
func read(w http.ResponseWriter, r *http.Request) (string, *answer.Refusal) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		return "", answer.Refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", "ask for a backup with POST")
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return "", answer.Refuse(http.StatusUnsupportedMediaType, "UnsupportedMediaType", `send application/json: {"path": "/absolute/path"}`)
	}
	var body struct {
		Path string `json:"path"`
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		return "", answer.Refuse(http.StatusBadRequest, "BadRequest", `the body cannot be read: %v; want {"path": "/absolute/path"}`, err)
	}
	if err := checkPath(body.Path); err != nil {
		return "", answer.Refuse(http.StatusUnprocessableEntity, "Invalid", "path %q %v", body.Path, err)
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
