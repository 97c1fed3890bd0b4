package main

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"sync/atomic"
)

// poisonedName is the subsystem that fails, whatever it is asked, until there is a file "healed" in its folder: every other request is an error, and the rest are never answered.
const poisonedName = "poisoned"

// poisoned fails in place of what it stands before.
func poisoned(next http.Handler, healed string) http.Handler {
	var asked atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch _, err := os.Stat(healed); {
		case err == nil:
			next.ServeHTTP(w, r)
		case !errors.Is(err, fs.ErrNotExist):
			http.Error(w, err.Error(), http.StatusInternalServerError)
		case asked.Add(1)%2 == 0:
			http.Error(w, "this subsystem is poisoned", http.StatusInternalServerError)
		default:
			<-r.Context().Done()
		}
	})
}
