// Package demo runs the gateway service on one machine: Setpoint itself, and beside it, as processes of their own, an address allocator, an
// instance host, a DNS server, and an upstream to route to. They keep their state in folders below one directory, and outlive
// Setpoint: started again, it finds them, and the proxies that the host runs, as they are.
package demo
