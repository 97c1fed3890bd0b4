package subsystem

import (
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/setpointhq/setpoint/command"
)

// Exchange sends one request that may have an effect. With ok it returns the body of a 200 answer; otherwise it returns how
// the attempt ended, as honestly as HTTP allows:
//
//	no connection could be made           refused, Retry     nothing was sent
//	any later error, or no whole answer   unknown, Ambiguous
//	400, 401, 403, 404, 413, 422 …, 3xx   refused, Terminal  the receiver judged the request and would again
//	409, 425                              refused, Retry
//	429, and 503 with our [Header]        refused, Throttled  until Retry-After
//	408, and every other 5xx              unknown, Ambiguous  something between here and there may have said it
//
// Other adapters over HTTP may use it as well.
func Exchange(client *http.Client, request *http.Request) (body []byte, result command.Result, ok bool) {
	var sent atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }}
	response, err := client.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
	switch {
	case err != nil && !sent.Load():
		return nil, command.Result{
			Outcome: command.OutcomeRefused, Class: command.Retry, Message: "nothing was sent: " + err.Error(),
		}, false
	case err != nil:
		return nil, unknown("no answer: %v", err), false
	}
	body, err = readAnswer(response)
	if response.StatusCode == http.StatusOK {
		if err != nil {
			return nil, unknown("%s: %v", request.URL, err), false
		}
		return body, command.Result{}, true
	}
	if err != nil {
		body = []byte(err.Error())
	}
	return nil, judgeStatus(response, fmt.Sprintf("%s: status %d: %s", request.URL, response.StatusCode, firstLine(body))), false
}

func judgeStatus(response *http.Response, message string) command.Result {
	refused := command.Result{Outcome: command.OutcomeRefused, Message: message}
	switch status := response.StatusCode; {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && response.Header.Get(Header) != "":
		refused.Class = command.Throttled
		refused.RetryAfter = retryAfter(response.Header.Get("Retry-After"))
	case status == http.StatusRequestTimeout, status >= 500, status < 300:
		return unknown("%s", message)
	case status == http.StatusConflict, status == http.StatusTooEarly:
		refused.Class = command.Retry
	default:
		refused.Class = command.Terminal
	}
	return refused
}

// retryAfter reads the header's seconds, within an hour; its date form says nothing without a common clock.
func retryAfter(text string) time.Duration {
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 0 {
		return time.Second
	}
	return min(time.Duration(seconds)*time.Second, time.Hour)
}

func unknown(format string, arguments ...any) command.Result {
	return command.Result{
		Outcome: command.OutcomeUnknown, Class: command.Ambiguous, Message: fmt.Sprintf(format, arguments...),
	}
}

func terminal(format string, arguments ...any) command.Result {
	return command.Result{
		Outcome: command.OutcomeRefused, Class: command.Terminal, Message: fmt.Sprintf(format, arguments...),
	}
}
