package draft

import (
	"fmt"

	"github.com/setpointhq/setpoint/store"
)

// How many entries History returns when the query does not say.
const (
	historyOfObject = 1000
	historyOfKind   = 10_000
)

// History checks a query and fills in its limit.
func History(q store.HistoryQuery) (store.HistoryQuery, error) {
	switch byKey := !q.Key.IsZero(); {
	case !byKey && q.Kind == "":
		return q, fmt.Errorf("read the history: %w: the query names neither an object (Key) nor a kind (Kind)", store.ErrInvalid)
	case byKey && (q.Kind != "" || q.Namespace != ""):
		return q, fmt.Errorf("read the history of %s: %w: Kind and Namespace are for a query without Key", q.Key, store.ErrInvalid)
	case q.Limit > 0:
	case byKey:
		q.Limit = historyOfObject
	default:
		q.Limit = historyOfKind
	}
	return q, nil
}

// HistoryFailed says whose history could not be read.
func HistoryFailed(q store.HistoryQuery, err error) error {
	if q.Key.IsZero() {
		return fmt.Errorf("read the history of kind %s: %w", q.Kind, err)
	}
	return fmt.Errorf("read the history of %s: %w", q.Key, err)
}
