package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/setpointhq/setpoint/command"
)

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
