package cli

import (
	"bytes"
	"net/url"
	"os"
)

// AlertConfig says who hears of objects in trouble besides Alertmanagers, and how.
type AlertConfig struct {
	// Webhooks are URLs.
	Webhooks []string `koanf:"webhook"`
	// WebhookKeyFile holds the key that signs what they get; WebhookKey is what was read from it, without white space at its ends.
	WebhookKeyFile string `koanf:"webhook-key-file"`
	WebhookKey     []byte `koanf:"-"`
	// Plane tells this plane from others that have the same receivers.
	Plane string `koanf:"plane"`
}

// receivers judges what is said about alerts, and reads the key. A URL is not repeated in an error: it may be a secret.
func (c *ServeConfig) receivers() error {
	for _, list := range []struct {
		key  string
		urls []string
	}{{"alertmanager", c.Alertmanagers}, {"alert.webhook", c.Alert.Webhooks}} {
		for _, text := range list.urls {
			if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
				return usage("%s: want a URL, http(s)://host/path", list.key)
			}
		}
	}
	if c.Alert.WebhookKeyFile == "" {
		return nil
	}
	if len(c.Alert.Webhooks) == 0 {
		return usage("alert.webhook-key-file: there is no alert.webhook whose requests it could sign")
	}
	key, err := os.ReadFile(c.Alert.WebhookKeyFile)
	if err != nil {
		return usage("alert.webhook-key-file: %w", err)
	}
	if c.Alert.WebhookKey = bytes.TrimSpace(key); len(c.Alert.WebhookKey) == 0 {
		return usage("alert.webhook-key-file: %s is empty", c.Alert.WebhookKeyFile)
	}
	return nil
}
