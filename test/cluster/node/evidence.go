package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/postgres"
)

// Sighting is a line of a node's evidence.
type Sighting struct {
	// At is in nanoseconds of Unix time.
	At    int64       `json:"at"`
	Node  string      `json:"node"`
	Scope store.Scope `json:"scope"`
	Epoch string      `json:"epoch"`
	// What is "commit", for the first one under an epoch, or "refused".
	What  string `json:"what"`
	Error string `json:"error,omitempty"`
}

// journal is a file to which lines of JSON are appended, each by one write, so that a kill leaves whole lines.
type journal struct {
	mu   sync.Mutex
	file *os.File
}

func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &journal{file: file}, nil
}

func (j *journal) write(line any) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err = j.file.Write(append(text, '\n'))
	return err
}

// witnessed is the store, and notes what becomes of fences.
type witnessed struct {
	*postgres.Store
	name    string
	journal *journal

	mu   sync.Mutex
	seen map[store.Fence]bool
}

// Commit is the store's.
func (w *witnessed) Commit(ctx context.Context, tx store.Transaction) (store.Receipt, error) {
	r, err := w.Store.Commit(ctx, tx)
	for _, f := range tx.Fences {
		noted := error(nil)
		switch {
		case err == nil && w.first(f):
			noted = w.note(f, "commit", nil)
		case errors.Is(err, store.ErrFenced):
			noted = w.note(f, "refused", err)
		}
		if noted != nil {
			fmt.Fprintln(os.Stderr, "the evidence cannot be written:", noted)
		}
	}
	return r, err
}

func (w *witnessed) first(f store.Fence) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.seen[f]
	w.seen[f] = true
	return !before
}

func (w *witnessed) note(f store.Fence, what string, err error) error {
	s := Sighting{At: time.Now().UnixNano(), Node: w.name, Scope: f.Scope, Epoch: f.Epoch.String(), What: what}
	if err != nil {
		s.Error = err.Error()
	}
	return w.journal.write(s)
}
