// Package demo runs the managed PostgreSQL on one machine: Setpoint itself, and beside it, as processes of their own, the host agent with its real servers,
// and the proxy that clients connect to. They keep their state in folders below one directory, and outlive Setpoint: started again, it
// finds them as they are.
package demo
