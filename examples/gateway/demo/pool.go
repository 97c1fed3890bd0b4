package demo

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/setpointhq/setpoint/examples/internal/daemon"
)

// pools is how many parts the demos' share of the loopback network has. Each is a /19: 8,190 addresses.
const pools = 512

// pool is the part that a demo takes its addresses from, chosen by its folder. Every proxy listens on the same port with SO_REUSEPORT, so two demos
// (or one, and the proxies that another has left running) that used the same addresses would answer each other's clients. The choice is kept in a file,
// because what was granted must stay valid when the folder moves.
func pool(dir string) (cidr string, err error) {
	path := filepath.Join(dir, "pool")
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	h := fnv.New64a()
	if _, err := h.Write([]byte(absolute)); err != nil {
		return "", err
	}
	n := h.Sum64() % pools
	cidr = fmt.Sprintf("127.%d.%d.0/19", 64+n/8, n%8*32)
	return cidr, daemon.WriteFile(path, cidr)
}
