package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/setpointhq/setpoint"
)

// supervisor is who started this process and looks after it: systemd, or whoever speaks its protocol, which is sd_notify(3) and sd_watchdog_enabled(3). A message is
// one datagram to a Unix socket, of lines NAME=value. nil is nobody, and is told nothing.
//
// It is told, in this order: what the process waits for, while it loads; READY=1, once, when requests are served or the lease of another is waited for; WATCHDOG=1, twice
// in the time that it allows, for as long as [setpoint.Plane.Live] has no complaint; STOPPING=1 when a stop begins. With each there may be a STATUS, one line for people.
type supervisor struct {
	socket   *net.UnixAddr
	watchdog time.Duration // how long it waits for a sign of life; 0 for ever
	log      *slog.Logger
	url      string

	// What was told, by the one goroutine that tells.
	status string
	failed bool
}

const (
	// leisure is how often a supervisor without a watchdog is told what has changed.
	leisure = 5 * time.Second
	// patience bounds the sending of one message: a supervisor that does not read must not hold the server up.
	patience = time.Second
)

// supervised finds the supervisor that the environment names. It is an error when what it says makes no sense: a process that cannot say that it is ready would be
// taken for one that hangs.
func supervised(getenv func(string) string, log *slog.Logger) (*supervisor, error) {
	if getenv == nil {
		getenv = os.Getenv
	}
	name := getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil, nil
	}
	if !filepath.IsAbs(name) && (name[0] != '@' || len(name) == 1) {
		return nil, fmt.Errorf("NOTIFY_SOCKET is %q: want the absolute path of a Unix socket, or @ and the name of an abstract one; unset it to run without a supervisor", name)
	}
	s := &supervisor{socket: &net.UnixAddr{Name: name, Net: "unixgram"}, log: log}
	limit := getenv("WATCHDOG_USEC")
	if pid := getenv("WATCHDOG_PID"); limit == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return s, nil // the watchdog is switched off, or meant for another process that has left its environment to this one
	}
	micros, err := strconv.ParseInt(limit, 10, 64)
	if err != nil || micros <= 0 || micros > int64(24*time.Hour/time.Microsecond) {
		return nil, fmt.Errorf("WATCHDOG_USEC is %q: want microseconds, more than 0 and at most a day; unset it to run without a watchdog", limit)
	}
	s.watchdog = time.Duration(micros) * time.Microsecond
	return s, nil
}

// watch begins to tell the supervisor how a plane is doing that is served at an address. The function that it returns ends that, and is called when all has stopped.
func (s *supervisor) watch(ctx context.Context, plane *setpoint.Plane, at net.Addr) (end func()) {
	if s == nil {
		return func() {}
	}
	s.url = "http://" + at.String()
	ended, told := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		s.tell(ctx, plane, ended)
	}()
	return func() {
		close(ended)
		<-told
	}
}

// tell goes through the life of a server. A stop begins when ctx ends; signs of life go on until ended is closed, since what is under way may take its time.
func (s *supervisor) tell(ctx context.Context, plane *setpoint.Plane, ended <-chan struct{}) {
	s.say("STATUS=loading what exists")
	if s.begun(ctx, plane) {
		s.say("READY=1", s.describe(plane))
		ticker := time.NewTicker(s.interval())
		defer ticker.Stop()
		for more := true; more; more = waited(ticker.C, ctx.Done()) {
			s.beat(plane)
		}
	}
	s.say("STOPPING=1", "STATUS=stopping: what is under way is finished first")
	ticker := time.NewTicker(s.interval())
	defer ticker.Stop()
	for waited(ticker.C, ended) {
		s.alive(plane)
	}
}

func (s *supervisor) interval() time.Duration {
	if s.watchdog == 0 {
		return leisure
	}
	return max(s.watchdog/2, time.Microsecond)
}

// waited is true at the next tick, and false as soon as over is closed.
func waited(tick <-chan time.Time, over <-chan struct{}) bool {
	select {
	case <-tick:
	case <-over:
		return false
	}
	select {
	case <-over:
		return false
	default:
		return true
	}
}

// begun waits until the server has loaded what exists. It is false when ctx ends before.
func (s *supervisor) begun(ctx context.Context, plane *setpoint.Plane) bool {
	select {
	case <-plane.Loaded():
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// beat is a sign of life, and what has changed.
func (s *supervisor) beat(plane *setpoint.Plane) {
	status := s.describe(plane)
	if s.alive(plane) && status == s.status {
		return
	}
	s.say(status)
}

// alive gives a sign of life, if there is life: workers that can move, and a lease that was not lost. That this line is reached says nothing about them.
func (s *supervisor) alive(plane *setpoint.Plane) bool {
	if plane.Live() != nil {
		return false
	}
	if s.watchdog > 0 {
		s.say("WATCHDOG=1")
	}
	return true
}

// describe is the status line of a server that has begun.
func (s *supervisor) describe(plane *setpoint.Plane) string {
	what := "serving at " + s.url
	if err := plane.Live(); err != nil {
		what = "waiting to be restarted: " + err.Error()
	} else if err := plane.Ready(); err != nil {
		what += ", in trouble: " + err.Error()
	} else if why := plane.Standby(); why != "" {
		what = "standing by at " + s.url + ": " + why
	}
	return "STATUS=" + strings.Join(strings.FieldsFunc(what, func(r rune) bool { return r < ' ' }), "; ")
}

// say sends one message. One that cannot be sent is lost; the first of several in a row is logged.
func (s *supervisor) say(lines ...string) {
	for _, line := range lines {
		if strings.HasPrefix(line, "STATUS=") {
			s.status = line
		}
	}
	err := s.send(strings.Join(lines, "\n"))
	if err != nil && !s.failed {
		s.log.Warn("the supervisor cannot be told how the server is doing", "socket", s.socket.Name, "error", err)
	}
	s.failed = err != nil
}

func (s *supervisor) send(message string) (err error) {
	connection, err := net.DialUnix(s.socket.Net, nil, s.socket)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connection.Close()) }()
	if err := connection.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = connection.Write([]byte(message))
	return err
}
