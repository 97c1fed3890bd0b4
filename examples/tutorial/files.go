package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

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
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path+"~", []byte(want.Text), 0o644)); err != nil {
		return failed(err)
	}
	if err := os.Rename(path+"~", path); err != nil { // readers see the old file or the new one, never a half
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

// Observe compares the directory, once a second, with what should be there, and reports what is gone or has another size.
func (f Files) Observe(ctx context.Context, desk command.Desk) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		expected := desk.Expected("") // before looking: what is acknowledged from now on is not missed
		sizes, err := f.list()
		if err != nil {
			return err
		}
		var lost []command.Loss
		for _, e := range expected {
			var want Written
			if err := json.Unmarshal(e.Result, &want); err != nil {
				return err
			}
			if size, there := sizes[e.Key]; !there || size != want.Bytes {
				lost = append(lost, command.Loss{Key: e.Key, Token: e.Token, Reason: "the file is gone or was changed"})
			}
		}
		if err := desk.Lost(ctx, lost); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// list returns the size of every file below Root by its path from there.
func (f Files) list() (map[string]int, error) {
	sizes := map[string]int{}
	err := fs.WalkDir(os.DirFS(f.Root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreMissing(err)
		}
		info, err := d.Info()
		if err == nil {
			sizes[path] = int(info.Size())
		}
		return ignoreMissing(err)
	})
	return sizes, err
}

// ignoreMissing forgives what disappears while one looks.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
