package orders

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/setpointhq/setpoint/adopt"
)

// Ledger is a payment service in memory, idempotent by token: POST /charges with an Idempotency-Key. It is what the example talks
// to, and what its tests count in.
type Ledger struct {
	// Lose, if set, is asked after each request was carried out whether its answer is to get lost.
	Lose func(Charge) bool
	// Refuse, if set, answers instead of carrying out: a status, or 0 to go on.
	Refuse func(Charge) int

	mu      sync.Mutex
	charges map[adopt.Token]Charge
	order   []Charge
	asked   int
}

// Charges lists what was charged, in order. Each entry is money.
func (l *Ledger) Charges() []Charge {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Charge(nil), l.order...)
}

// Requests counts what was asked.
func (l *Ledger) Requests() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

func (l *Ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var c Charge
	token := adopt.Token(r.Header.Get("Idempotency-Key"))
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&c); err != nil || token == "" {
		http.Error(w, "a charge in JSON and an Idempotency-Key are needed", http.StatusBadRequest)
		return
	}
	number, status, err := l.charge(token, c)
	switch {
	case err != nil:
		http.Error(w, err.Error(), status)
		return
	case l.Lose != nil && l.Lose(c):
		panic(http.ErrAbortHandler) // the connection breaks
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(Receipt{Number: number}); err != nil {
		panic(http.ErrAbortHandler) // the client went away
	}
}

// charge takes the money unless it was taken under this token before.
func (l *Ledger) charge(token adopt.Token, c Charge) (number string, status int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if l.Refuse != nil {
		if status := l.Refuse(c); status != 0 {
			return "", status, fmt.Errorf("order %d is not charged", c.Order)
		}
	}
	before, known := l.charges[token]
	if known && before != c {
		return "", http.StatusUnprocessableEntity, fmt.Errorf("token %s was used for another charge", token)
	}
	if !known {
		if l.charges == nil {
			l.charges = map[adopt.Token]Charge{}
		}
		l.charges[token] = c
		l.order = append(l.order, c)
	}
	return "R-" + string(token[:8]), 0, nil
}
