package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/setpointhq/setpoint/command"
)

// Media types of the dialect.
const (
	mediaJSON       = "application/json"
	mediaTable      = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
	mediaDiscovery  = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
	mediaMergePatch = "application/merge-patch+json"
)

// maxReply bounds a reply that is read whole. Lists are paged far below it.
const maxReply = 256 << 20

// request is one call, which may take several attempts.
type request struct {
	// op says what is attempted, for messages: "get gateway default/shop".
	op      string
	method  string
	path    string // escaped, below the base
	query   url.Values
	accept  string
	content string
	body    []byte
	// list: it reads a list, of which the server has to be told how a resourceVersion is meant.
	list bool
	// stream leaves the timeout to the caller.
	stream bool
	// repeatable says that the request may be sent again although it may have been executed.
	repeatable bool
}

// join makes a path of segments, escaping each.
func join(segments ...string) string {
	var b bytes.Buffer
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// call makes a request and decodes the reply into into, unless that is nil.
func (c *Client) call(ctx context.Context, r request, into any) error {
	body, err := c.fetch(ctx, r)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: the reply of %s cannot be read: %w", r.op, c.Server(), err)
	}
	c.saw(into)
	return nil
}

// fetch makes a request and reads the reply, both as often as is safe.
func (c *Client) fetch(ctx context.Context, r request) ([]byte, error) {
	r.repeatable = r.repeatable || r.method == http.MethodGet
	var body []byte
	err := c.attempts(ctx, r, func(ctx context.Context) error {
		reply, err := c.send(ctx, r)
		if err != nil {
			return err
		}
		body, err = readAll(reply.Body)
		if err != nil {
			return fmt.Errorf("%s: the reply of %s broke off: %w", r.op, c.Server(), errors.Join(unanswered(r), err))
		}
		return nil
	})
	return body, err
}

// attempts repeats try while its failure may pass and repeating is safe.
func (c *Client) attempts(ctx context.Context, r request, try func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := c.bounded(ctx, r, try)
		if err == nil || ctx.Err() != nil || attempt >= c.config.Attempts || !mayPass(err, r) {
			return err
		}
		if c.config.Pause(ctx, max(c.backoff(attempt), retryAfter(err))) != nil {
			return err
		}
	}
}

func (c *Client) bounded(ctx context.Context, r request, try func(context.Context) error) error {
	if r.stream {
		return try(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	return try(ctx)
}

// send makes one attempt. Its error is a [*StatusError] when the server has answered.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	target := c.base.String() + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	h, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.op, err)
	}
	if r.accept == "" {
		r.accept = mediaJSON
	}
	h.Header.Set("Accept", r.accept)
	h.Header.Set("User-Agent", c.config.UserAgent)
	if r.content != "" {
		h.Header.Set("Content-Type", r.content)
	}
	if c.config.Token != "" {
		h.Header.Set("Authorization", "Bearer "+c.config.Token)
	}
	reply, err := c.config.HTTP.Do(h)
	if err != nil {
		return nil, c.transportError(ctx, r, err)
	}
	if reply.StatusCode < 200 || reply.StatusCode > 299 {
		return nil, statusError(r, reply)
	}
	return reply, nil
}

// transportError says what is known of a request that got no answer.
func (c *Client) transportError(ctx context.Context, r request, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: no answer from %s: %w", r.op, c.Server(), errors.Join(context.Cause(ctx), err))
	}
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	if neverSent(err) {
		return fmt.Errorf("%s: %w: cannot connect to %s: %w; is the server running? Start one with: setpoint dev", r.op, ErrUnavailable, c.Server(), err)
	}
	return fmt.Errorf("%s: the connection to %s broke: %w", r.op, c.Server(), errors.Join(unanswered(r), err))
}

// unanswered is the sentinel of a request whose answer was lost.
func unanswered(r request) error {
	if r.method == http.MethodGet {
		return ErrUnavailable
	}
	return ErrUnknown
}

// neverSent reports whether the request cannot have reached the server.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// mayPass reports whether repeating can help, and does no harm.
func mayPass(err error, r request) bool {
	var status *StatusError
	if !errors.As(err, &status) {
		return r.repeatable || neverSent(err)
	}
	switch {
	case behind(err):
		return false // it has waited already
	case status.Code == http.StatusTooManyRequests:
		return true
	case status.Code == http.StatusServiceUnavailable:
		return r.repeatable || status.RetryAfter > 0
	case status.Code == http.StatusBadGateway, status.Code == http.StatusGatewayTimeout:
		return r.repeatable
	}
	return false
}

func retryAfter(err error) time.Duration {
	var status *StatusError
	if errors.As(err, &status) {
		return min(status.RetryAfter, time.Minute)
	}
	return 0
}

// backoff is a random pause: up to 100 ms, doubled with every attempt, at most MaxPause (full jitter).
func (c *Client) backoff(attempt int) time.Duration {
	limit := command.Window(100*time.Millisecond, c.config.MaxPause, attempt)
	return rand.N(limit) + 1
}

func readAll(body io.ReadCloser) (text []byte, err error) {
	defer func() { err = errors.Join(err, body.Close()) }()
	text, err = io.ReadAll(io.LimitReader(body, maxReply+1))
	if err == nil && len(text) > maxReply {
		err = fmt.Errorf("it is longer than %d MiB", maxReply>>20)
	}
	return text, err
}

func setUint(q url.Values, key string, n uint64) {
	if n != 0 {
		q.Set(key, strconv.FormatUint(n, 10))
	}
}

func setText(q url.Values, key, value string) {
	if value != "" {
		q.Set(key, value)
	}
}
