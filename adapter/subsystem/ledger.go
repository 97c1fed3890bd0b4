package subsystem

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Ledger is the evidence of effects: a file of JSON lines, numbered from 1, that is only ever appended to. It is not safe
// for concurrent use.
type Ledger struct {
	journal *Journal
	last    uint64
}

// OpenLedger opens or creates the ledger at path; a torn last line is cut off.
func OpenLedger(path string) (*Ledger, error) {
	l := &Ledger{}
	journal, err := OpenJournal(path, func(text []byte) error {
		var line LedgerLine
		if err := json.Unmarshal(text, &line); err != nil {
			return fmt.Errorf("the ledger is damaged: %w", err)
		}
		l.last = line.Seq
		return nil
	})
	if err != nil {
		return nil, err
	}
	l.journal = journal
	return l, nil
}

// Append writes a line unless one of its number is there already, which is how a line that a crash kept out is written
// at the next start.
func (l *Ledger) Append(line LedgerLine) error {
	if line.Seq <= l.last {
		return nil
	}
	if _, err := l.journal.Append(line); err != nil {
		return err
	}
	l.last = line.Seq
	return nil
}

// Next is the number of the next line.
func (l *Ledger) Next() uint64 { return l.last + 1 }

// Sync makes all lines durable.
func (l *Ledger) Sync() error { return l.journal.Sync(l.journal.Written()) }

// Close syncs and closes the file.
func (l *Ledger) Close() error { return l.journal.Close() }

// ReadLedger reads the whole lines of a ledger's file, also while a server appends to it.
func ReadLedger(path string) (lines []LedgerLine, err error) {
	err = eachLedgerLine(path, func(text []byte, line LedgerLine) error {
		lines = append(lines, line)
		return nil
	})
	return lines, err
}

func eachLedgerLine(path string, visit func(text []byte, line LedgerLine) error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	_, err = readLines(file, func(text []byte) error {
		var line LedgerLine
		if err := json.Unmarshal(text, &line); err != nil {
			return fmt.Errorf("the ledger is damaged: %w", err)
		}
		return visit(text, line)
	})
	return errors.Join(err, file.Close())
}

// copyLedger writes the lines after a number to w.
func copyLedger(path string, after uint64, w io.Writer) error {
	return eachLedgerLine(path, func(text []byte, line LedgerLine) error {
		if line.Seq <= after {
			return nil
		}
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// EffectsPerToken counts the finished effects (create, update, delete) per memory and token: what must never exceed one.
func EffectsPerToken(lines []LedgerLine) map[string]int {
	counts := map[string]int{}
	for _, line := range lines {
		switch line.Effect {
		case Create, Update, Delete:
			counts[line.Memory+"/"+string(line.Token)]++
		}
	}
	return counts
}
