package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
	edge "github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/allocator"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/authority"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/host"
)

// SubsystemsConfig is where the subsystems are.
type SubsystemsConfig struct {
	// Dir has a folder for each, and, when all serve, "addresses", a JSON object by name.
	Dir string
}

// Names are the subsystems.
var Names = []string{"allocator", "hosts", "authority", "dns", "machines", "quiet", poisonedName}

// Refusal is a line of the file "refusals" of a subsystem: a call that came under an epoch that is over.
type Refusal struct {
	At      time.Time     `json:"at"`
	Scope   string        `json:"scope"`
	Epoch   string        `json:"epoch"`
	Key     string        `json:"key"`
	Token   command.Token `json:"token"`
	Message string        `json:"message"`
}

// subsystems runs all of them until ctx ends, or one fails.
func subsystems(ctx context.Context, c SubsystemsConfig) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	at := map[string]string{}
	ends := make(chan error, len(Names))
	for _, name := range Names {
		ready := func(address net.Addr) {
			mu.Lock()
			defer mu.Unlock()
			at[name] = address.String()
			if len(at) < len(Names) {
				return
			}
			text, err := json.Marshal(at)
			if err == nil {
				err = writeFile(filepath.Join(c.Dir, "addresses"), text)
			}
			if err != nil {
				ends <- err
			}
		}
		go func() { ends <- one(ctx, name, filepath.Join(c.Dir, name), ready); cancel() }()
	}
	var all error
	for range Names {
		all = errors.Join(all, <-ends)
	}
	return all
}

// one runs one subsystem.
func one(ctx context.Context, name, dir string, ready func(net.Addr)) error {
	switch name {
	case "allocator":
		return allocator.Run(ctx, allocator.Options{Dir: dir, Ready: ready, Pools: map[string]string{"edge": "10.0.0.0/8"}})
	case "hosts":
		return host.Run(ctx, host.Options{Dir: dir, Ready: ready, Simulated: true})
	case "authority":
		return kit(ctx, dir, ready, func(change subsystem.Change) any {
			return authority.Result{Serial: string(change.Token), NotAfter: time.Now().UTC().Add(edge.CertificateLife)}
		})
	}
	return kit(ctx, dir, ready, func(change subsystem.Change) any { return json.RawMessage(change.Request) })
}

// kit runs a subsystem that only remembers, and answers what answer says.
func kit(ctx context.Context, dir string, ready func(net.Addr), answer func(subsystem.Change) any) error {
	server, err := subsystem.Open(subsystem.Options{Dir: dir, Handler: notebook{answer}, MaxQueue: 1024})
	if err != nil {
		return err
	}
	refusals, err := openJournal(filepath.Join(dir, "refusals"))
	if err != nil {
		return errors.Join(err, server.Close())
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, server.Close())
	}
	ready(listener.Addr())
	serves := refused(server.Handler(), refusals)
	if filepath.Base(dir) == poisonedName {
		serves = poisoned(serves, filepath.Join(dir, "healed"))
	}
	return subsystem.ServeHTTP(ctx, listener, serves, server.Close)
}

// notebook is a subsystem.Handler whose effects are what the kit remembers of them.
type notebook struct{ answer func(subsystem.Change) any }

// busy is the value for which nothing is ever done.
const busy = "busy"

// Start has nothing to take up: the kit remembers.
func (notebook) Start([]subsystem.Entry, subsystem.LoseFunc) error { return nil }

// Apply does what it is told at once.
func (n notebook) Apply(_ context.Context, change subsystem.Change) subsystem.Answer {
	if change.StopHalfway {
		return subsystem.Fail(nil, "stopped half-way", "half of it")
	}
	if string(change.Request) == `{"value":"malformed"}` {
		return subsystem.Refuse(command.Terminal, "the request is malformed: want a value")
	}
	if string(change.Request) == `{"value":"`+busy+`"}` {
		return subsystem.Refuse(command.Retry, "busy, now and always")
	}
	stands := change.Standing != nil && change.Standing.Request != nil
	switch {
	case change.Request == nil && !stands:
		return subsystem.Done(nil, subsystem.NoEffect, "")
	case change.Request == nil:
		return subsystem.Done(nil, subsystem.Delete, "")
	}
	body, err := json.Marshal(n.answer(change))
	if err != nil {
		return subsystem.Refuse(command.Terminal, err.Error())
	}
	if stands {
		return subsystem.Done(body, subsystem.Update, "")
	}
	return subsystem.Done(body, subsystem.Create, "")
}

// Restore takes anything up.
func (notebook) Restore(context.Context, subsystem.RestoreItem) error { return nil }

// Forget has nothing to forget beside the kit's memory.
func (notebook) Forget(context.Context) error { return nil }

// refused notes the calls that are answered as Stale.
func refused(next http.Handler, refusals *journal) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/apply" {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, subsystem.MaxBody+1))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		copied := &copying{ResponseWriter: w}
		next.ServeHTTP(copied, r)
		var wish subsystem.ApplyRequest
		var answer subsystem.ApplyAnswer
		if json.Unmarshal(body, &wish) != nil || json.Unmarshal(copied.text, &answer) != nil || answer.Class != command.Stale {
			return
		}
		line := Refusal{At: time.Now(), Scope: wish.Scope, Epoch: wish.Epoch.String(), Key: wish.Key, Token: wish.Token, Message: answer.Message}
		if err := refusals.write(line); err != nil {
			fmt.Println("a refusal cannot be written:", err)
		}
	})
}

// copying keeps what is answered.
type copying struct {
	http.ResponseWriter
	text []byte
}

// Write answers, and keeps a copy.
func (c *copying) Write(text []byte) (int, error) {
	c.text = append(c.text, text...)
	return c.ResponseWriter.Write(text)
}
