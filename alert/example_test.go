package alert_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/setpointhq/setpoint/alert"
	"github.com/setpointhq/setpoint/resource"
)

// Three devices cannot be provisioned for one reason. A webhook hears of it once.
func Example() {
	key := []byte("known to both")
	heard := make(chan string)
	chat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var n alert.Notice
		if err != nil || !alert.Verify(key, body, r.Header.Get(alert.SignatureHeader)) || json.Unmarshal(body, &n) != nil {
			http.Error(w, "not for me", http.StatusForbidden)
			return
		}
		heard <- fmt.Sprintf("%s %s: %s", n.Severity, n.Event, n.Summary)
	}))
	defer chat.Close()

	hook, err := alert.NewWebhook(alert.WebhookOptions{URL: chat.URL, Key: key})
	if err != nil {
		fmt.Println(err)
		return
	}
	n := alert.New(alert.Options{Every: time.Millisecond, Senders: []*alert.Sender{hook}})
	for _, name := range []resource.Name{"d1", "d2", "d3"} {
		err := n.Set(alert.Trouble{
			Object: resource.Key{Kind: "Device.edge.example", Namespace: "acme", Name: name},
			Source: "Provisioner", State: "Provisioning", Cause: "NoAddress", Message: "pool edge-1 is empty",
			Severity: alert.Critical, Since: time.Now(),
		})
		if err != nil {
			fmt.Println(err)
			return
		}
	}

	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- n.Run(ctx) }()
	fmt.Println(<-heard)
	stop()
	fmt.Println(<-ended)
	// Output:
	// critical raised: 3 Device.edge.example in state Provisioning: NoAddress
	// <nil>
}

// A grouper says what is worth telling, whoever it is told to.
func ExampleGrouper() {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	g := alert.NewGrouper(alert.Rules{})
	device := func(i int) resource.Key {
		return resource.Key{Kind: "Device.edge.example", Name: resource.Name(fmt.Sprintf("d%d", i))}
	}
	tell := func() {
		for _, c := range g.Changes(now) {
			fmt.Println(c.Event, c.Group.Summary())
		}
	}
	for i := range 1000 {
		if err := g.Set(alert.Trouble{Object: device(i), Source: "Provisioner", Cause: "NoAddress", Since: now}); err != nil {
			fmt.Println(err)
		}
	}
	tell()
	for i := range 999 {
		g.Forget(device(i))
	}
	tell()
	g.Forget(device(999))
	tell()
	// Output:
	// raised 1000 Device.edge.example: NoAddress
	// changed 1 Device.edge.example: NoAddress
	// cleared 0 Device.edge.example: NoAddress
}
