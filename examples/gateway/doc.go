// Package gateway is the worked example: an API gateway service that a customer could use on this machine.
//
// A [Gateway] has a hostname, routes, and a number of replicas. It is made of parts, each with a desired configuration and a small
// controller of its own:
//
//	Gateway ─┬─ Address        a loopback address          from the allocator
//	         ├─ Certificate    of the local authority      renewed before it expires
//	         ├─ Instance ×n    a real reverse-proxy process on the instance host
//	         ├─ ProxyConfig ×n the routes                  pushed into each process, acknowledged by version
//	         └─ DNSRecord      the hostname                RFC 2136 update
//
// Read kinds.go for what a customer can ask for, and controllers.go for what happens then: the gateway's controller declares the parts that
// should exist now, and each part's controller ensures one effect at one subsystem. Nothing in them retries, locks, or remembers.
//
// The subsystems are processes of their own (package demo starts them), with state and ledgers in files. They can be told to misbehave, and
// the tests here and in test/gateway do.
package gateway
