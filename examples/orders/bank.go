package orders

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/adopt"
)

// Charge is what the bank is asked for.
type Charge struct {
	Order ID    `json:"order"`
	Cents int64 `json:"cents"`
}

// Receipt is what it answers.
type Receipt struct {
	Number string `json:"number"`
}

// Bank is a client of the payment service.
type Bank struct {
	URL    string       // of the service, without a path
	Client *http.Client // nil: http.DefaultClient
}

// Charge asks for a charge. Any error but a terminal one may mean that it was carried out: repeat it with the same token.
func (b Bank) Charge(ctx context.Context, token adopt.Token, c Charge) (number string, err error) {
	body, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("charge order %d: %w", c.Order, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.URL+"/charges", bytes.NewReader(body))
	if err != nil {
		return "", adopt.Terminal(fmt.Errorf("charge order %d: %w", c.Order, err))
	}
	// The service recognises a repetition by it. So does net/http, which then repeats a request by itself when a kept
	// connection turns out to be dead.
	request.Header.Set("Idempotency-Key", string(token))
	response, err := b.client().Do(request)
	if err != nil {
		return "", fmt.Errorf("charge order %d: %w", c.Order, err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return "", fmt.Errorf("charge order %d: read the bank's answer: %w", c.Order, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", classify(response, fmt.Errorf("charge order %d: the bank says %s: %s", c.Order, response.Status, strings.TrimSpace(string(answer))))
	}
	var receipt Receipt
	if err := json.Unmarshal(answer, &receipt); err != nil {
		return "", fmt.Errorf("charge order %d: the bank's answer: %w", c.Order, err)
	}
	return receipt.Number, nil
}

func (b Bank) client() *http.Client {
	if b.Client == nil {
		return http.DefaultClient
	}
	return b.Client
}

// classify says what an answer asks of the one who repeats.
func classify(r *http.Response, err error) error {
	switch {
	case r.StatusCode == http.StatusTooManyRequests:
		if seconds, bad := strconv.Atoi(r.Header.Get("Retry-After")); bad == nil {
			return adopt.Throttled(err, time.Now().Add(time.Duration(seconds)*time.Second))
		}
		return err
	case r.StatusCode >= 400 && r.StatusCode < 500:
		return adopt.Terminal(err)
	}
	return err
}
