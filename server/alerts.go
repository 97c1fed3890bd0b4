package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/alert"
)

// Alerts say who is told of objects in trouble. With the zero value nobody is; they are counted in the metrics all the same.
type Alerts struct {
	// Alertmanagers are the URLs of Alertmanagers, each of which gets all alerts. Several of one cluster are all listed, as each of them wants to hear it.
	Alertmanagers []string
	// Webhooks are the URLs that get one POST per change, with an [alert.Notice]; WebhookKey signs it, see [alert.Verify].
	Webhooks   []string
	WebhookKey []byte
	// Plane tells planes that share a receiver apart. It may be empty.
	Plane string
	// Rules and Every say what is worth telling, and how often it is looked; the zero values are those of package alert.
	Rules alert.Rules
	Every time.Duration
}

// notifier makes the notifier. Its errors are [alert.ErrOptions].
func (a Alerts) notifier(log *slog.Logger, silent func() bool) (*alert.Notifier, error) {
	o := alert.Options{Rules: a.Rules, Every: a.Every, Logger: log, Silent: silent}
	delivery := alert.Delivery{Logger: log}
	for _, url := range a.Alertmanagers {
		s, err := alert.NewAlertmanager(alert.AlertmanagerOptions{Delivery: delivery, URL: url, Plane: a.Plane})
		if err != nil {
			return nil, err
		}
		o.Senders = append(o.Senders, s)
	}
	for _, url := range a.Webhooks {
		s, err := alert.NewWebhook(alert.WebhookOptions{Delivery: delivery, URL: url, Plane: a.Plane, Key: a.WebhookKey})
		if err != nil {
			return nil, err
		}
		o.Senders = append(o.Senders, s)
	}
	return alert.New(o), nil
}

// raise watches a plane and tells of it until ctx ends. Of many processes on one database the one that is in charge tells. What could not be delivered in time is not a failure of the server: the next one tells what is still so.
func raise(ctx context.Context, n *alert.Notifier, plane *setpoint.Plane, log *slog.Logger) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var watcher sync.WaitGroup
	watcher.Go(func() {
		if err := n.Watch(watching, plane); err != nil {
			log.Warn("alerts: nothing more is noticed", "cause", err)
		}
	})
	if err := n.Run(ctx); err != nil {
		log.Warn("alerts: the end", "cause", err)
	}
	stop()
	watcher.Wait()
}
