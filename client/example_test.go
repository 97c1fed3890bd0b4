package client_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/setpointhq/setpoint/client"
)

// A program finds a kind, reads an object, and decodes its spec into a type of its own.
func Example() {
	server := httptest.NewServer(demo())
	defer server.Close()

	ctx := context.Background()
	c, err := client.New(client.Config{Server: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	gateways, err := c.Resolve(ctx, "gateways")
	if err != nil {
		log.Fatal(err)
	}
	shop, err := c.Get(ctx, gateways, client.Ref{Namespace: "default", Name: "shop"})
	if err != nil {
		log.Fatal(err)
	}
	var spec struct {
		Host string `json:"host"`
	}
	if err := shop.DecodeSpec(&spec); err != nil {
		log.Fatal(err)
	}
	status, err := shop.Engine()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(shop.Ref(), "is", status.State, "at", spec.Host)
	// Output: default/shop is Active at shop.example
}

// demo is a server with one gateway.
func demo() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /apis", answer(`{"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": "edge.example"}, "versions": [{"version": "v1", "resources": [
		{"resource": "gateways", "responseKind": {"kind": "Gateway"}, "scope": "Namespaced"}]}]}]}`))
	mux.Handle("GET /apis/edge.example/v1/namespaces/default/gateways/shop", answer(`{"apiVersion": "edge.example/v1", "kind": "Gateway",
		"metadata": {"name": "shop", "namespace": "default"}, "spec": {"host": "shop.example"}, "status": {"state": "Active"}}`))
	return mux
}

func answer(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := fmt.Fprint(w, body); err != nil {
			log.Print(err)
		}
	})
}
