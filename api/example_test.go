package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/setpointhq/setpoint/api"
)

// A gateway is created and its table is read, with nothing but HTTP.
func Example() {
	folder, err := os.MkdirTemp("", "setpoint")
	if err != nil {
		fmt.Println(err)
		return
	}
	plane, stop, err := openPlane(filepath.Join(folder, "plane.db"), gateways())
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := api.New(api.Options{Plane: plane, Version: "1.4.0"})
	server := httptest.NewServer(handler)
	defer func() {
		handler.Drain()
		server.Close()
		if err := stop(); err != nil {
			fmt.Println(err)
		}
		if err := os.RemoveAll(folder); err != nil {
			fmt.Println(err)
		}
	}()

	const path = "/apis/edge.example/v1/namespaces/default/gateways"
	post := func(media, body string) {
		answer, err := server.Client().Post(server.URL+path, media, strings.NewReader(body))
		if err != nil {
			fmt.Println(err)
			return
		}
		var status struct{ Message string }
		if err := json.NewDecoder(answer.Body).Decode(&status); err != nil {
			fmt.Println(err)
		}
		fmt.Println(strings.TrimSpace(answer.Status + " " + answer.Header.Get("ETag") + status.Message))
		if err := answer.Body.Close(); err != nil {
			fmt.Println(err)
		}
	}
	post("application/yaml", `
metadata:
  name: www
spec:
  host: www.example
`)
	post("application/json", `{"metadata": {"name": "big"}, "spec": {"host": "h", "size": 10}}`)
	// Output:
	// 201 Created "1"
	// 422 Unprocessable Entity Gateway.edge.example "big" is invalid: spec.size: Invalid value: 10 is not at most 9
}

// A server that shuts down ends the watches first: they would not end by themselves.
func ExampleHandler_Drain() {
	if err := drained(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// the watch ended after "", and so did the server
}

// drained stops a server that has a watch.
func drained() (err error) {
	folder, err := os.MkdirTemp("", "setpoint")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	plane, stop, err := openPlane(filepath.Join(folder, "plane.db"), gateways())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	handler := api.New(api.Options{Plane: plane})
	server := httptest.NewUnstartedServer(handler)
	server.Config.RegisterOnShutdown(handler.Drain)
	server.Start()
	defer server.Close()

	watch, err := server.Client().Get(server.URL + "/apis/edge.example/v1/gateways?watch=1")
	if err != nil {
		return err
	}
	if err := server.Config.Shutdown(context.Background()); err != nil { // which waits for all requests
		return err
	}
	seen, err := io.ReadAll(watch.Body)
	fmt.Printf("the watch ended after %q, and so did the server\n", seen)
	return errors.Join(err, watch.Body.Close())
}
