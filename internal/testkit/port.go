package testkit

import (
	"net"
	"testing"
)

// Port returns a TCP and UDP port of 127.0.0.1 that was free a moment ago, for servers that cannot be told 0.
func Port(t testing.TB) int {
	t.Helper()
	for range 20 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("find a port: %v", err)
		}
		port := tcp.Addr().(*net.TCPAddr).Port
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if closing := tcp.Close(); closing != nil {
			t.Fatalf("find a port: %v", closing)
		}
		if err != nil {
			continue // taken for UDP: the next one
		}
		if err := udp.Close(); err != nil {
			t.Fatalf("find a port: %v", err)
		}
		return port
	}
	t.Fatal("find a port: none of 20 was free for TCP and UDP")
	return 0
}
