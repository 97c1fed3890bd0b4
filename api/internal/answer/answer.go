// Package answer writes the answers of the small interfaces beside the dialect: JSON, and errors in the dialect's form.
package answer

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Refusal is an error in the form of the dialect: a Status object.
type Refusal struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Status     string `json:"status"`
	Message    string `json:"message"`
	Reason     string `json:"reason"`
	Code       int    `json:"code"`
}

// Refuse makes one with an HTTP status code, the dialect's word for it, and a sentence for people.
func Refuse(code int, reason, format string, args ...any) *Refusal {
	return &Refusal{Kind: "Status", APIVersion: "v1", Status: "Failure", Message: fmt.Sprintf(format, args...), Reason: reason, Code: code}
}

// Send answers with the refusal.
func (f *Refusal) Send(w http.ResponseWriter) { Send(w, f.Code, f) }

// Send answers with a value that always encodes: of texts, numbers and times. A connection whose client is gone is ended.
func Send(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic("answer: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	if _, err := w.Write(append(body, '\n')); err != nil {
		panic(http.ErrAbortHandler)
	}
}
