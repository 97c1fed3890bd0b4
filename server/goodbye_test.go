package server_test

import (
	"io"
	"net/http"
	"path/filepath"
	"testing"
)

// TestAStopEndsWatchesInTime: the farewell leaves enough even of the least grace period for what is to be told to those who watch; the server ends in good order.
func TestAStopEndsWatchesInTime(t *testing.T) {
	url, stop := start(t, filepath.Join(t.TempDir(), "setpoint.db"))
	web := &http.Client{Transport: &http.Transport{}}
	watch, err := web.Get(url + "/apis/test.example/v1/namespaces/default/notes?watch=true")
	if err != nil || watch.StatusCode != http.StatusOK {
		t.Fatalf("watch: %v %v", watch, err)
	}
	if err := stop(); err != nil {
		t.Errorf("the server ended with: %v", err)
	}
	if _, err := io.Copy(io.Discard, watch.Body); err != nil {
		t.Errorf("the watch was cut off: %v", err)
	}
	if err := watch.Body.Close(); err != nil {
		t.Error(err)
	}
	web.CloseIdleConnections()
}
