package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// web keeps no connections, which would be goroutines.
var web = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

func (o *outside) get(t *testing.T, path string, into any) error {
	t.Helper()
	return read(web.Get("http://" + o.address + path))(into)
}

func (o *outside) post(t *testing.T, path string, body any) error {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	var answer json.RawMessage
	return read(web.Post("http://"+o.address+path, "application/json", bytes.NewReader(text)))(&answer)
}

func read(response *http.Response, err error) func(into any) error {
	return func(into any) error {
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d", response.StatusCode)
		} else {
			err = json.NewDecoder(response.Body).Decode(into)
		}
		return errors.Join(err, response.Body.Close())
	}
}
