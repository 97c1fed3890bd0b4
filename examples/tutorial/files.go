package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/setpointhq/setpoint/command"
)

// File is what the subsystem is asked for, and Written what it answers.
type File struct {
	Text string `json:"text"`
}

// Written describes a file that is there.
type Written struct {
	Bytes int `json:"bytes"`
}

// Files is the adapter for a directory. A file's path below Root is its natural key.
type Files struct{ Root string }

// Do makes one attempt: it writes the file, or removes it when the request is nil. Both can be repeated without harm.
func (f Files) Do(_ context.Context, c command.Call) command.Result {
	path := filepath.Join(f.Root, c.Key)
	if c.Request == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return failed(err)
		}
		return command.Result{Outcome: command.OutcomeDone}
	}
	var want File
	if err := json.Unmarshal(c.Request, &want); err != nil {
		return command.Result{Outcome: command.OutcomeRefused, Class: command.Terminal, Message: err.Error()}
	}
	if err := write(path, want.Text); err != nil {
		return failed(err)
	}
	answer, err := json.Marshal(Written{Bytes: len(want.Text)})
	if err != nil {
		return failed(err)
	}
	return command.Result{Outcome: command.OutcomeDone, Body: answer}
}

// failed says that it is not done, and may be tried again.
func failed(err error) command.Result {
	return command.Result{Outcome: command.OutcomeFailed, Class: command.Retry, Message: err.Error()}
}

// write replaces a file at once: readers see the old one or the new one, never a half.
func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+"~", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(path+"~", path)
}
