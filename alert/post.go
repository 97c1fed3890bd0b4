package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	// answerRead is how much of an answer is read, so that the connection can be used again.
	answerRead = 64 << 10
	// answerShown is how much of it is shown to people.
	answerShown = 200
)

// ErrRefused: the receiver has answered that it will not have an alert, so it is not sent again as it is. Correct the URL, the credentials or the
// receiver: the message has the status and the beginning of the answer.
var ErrRefused = errors.New("the receiver refuses it")

// post makes one attempt. Its error is an ErrRefused when repeating cannot help; otherwise after is the least wait that the receiver has asked for.
func (s *Sender) post(ctx context.Context, body []byte) (after time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.target, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	for name, values := range s.options.Header {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "setpoint")
	s.dialect.sign(request.Header, body)
	response, err := s.client.Do(request)
	if err != nil {
		return 0, withoutURL(err)
	}
	answer, problem := io.ReadAll(io.LimitReader(response.Body, answerRead))
	if err := response.Body.Close(); err != nil && problem == nil {
		problem = err
	}
	if response.StatusCode/100 == 2 {
		return 0, nil // the status has come whole; what follows it says nothing more
	}
	err = fmt.Errorf("status %d, answer %.*q", response.StatusCode, answerShown, answer)
	if problem != nil {
		err = fmt.Errorf("%w (which broke off: %w)", err, problem)
	}
	if !passing(response.StatusCode) {
		return 0, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return retryAfter(response.Header.Get("Retry-After"), time.Now()), err
}

// passing reports whether a status may be another one next time.
func passing(status int) bool {
	return status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
}

// retryAfter reads the header of that name: seconds, or a date (RFC 9110, section 10.2.3). It is 0 when it says nothing sensible.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(min(max(seconds, 0), 1<<30)) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(date.Sub(now), 0)
	}
	return 0
}

// withoutURL takes the URL out of an error of the HTTP client: paths of webhooks are often secrets.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
