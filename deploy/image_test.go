package deploy_test

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// owner is who the image runs as.
const owner = 65532

// image is what a Dockerfile makes, laid out in a folder that becomes the root directory of its processes.
type image struct {
	root, folder       string
	env                []string
	entry, cmd, health []string
}

// makeImage does what the builder of images does with the instructions that ours has, and refuses others.
func makeImage(t *testing.T, version string) *image {
	t.Helper()
	context := t.TempDir()
	build := exec.Command("docker/image.sh", context)
	build.Env = append(os.Environ(), "VERSION="+version)
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("image.sh: %v\n%s", err, said)
	}
	text, err := os.ReadFile(filepath.Join(context, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	m := &image{root: t.TempDir()}
	var user string
	for line := range strings.Lines(string(text)) {
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch instruction {
		case "", "EXPOSE", "VOLUME", "STOPSIGNAL":
		case "FROM":
			if rest != "scratch" {
				t.Fatalf("FROM %s: want nothing below the program", rest)
			}
		case "COPY":
			m.copy(t, context, strings.Fields(rest))
		case "ENV":
			m.env = append(m.env, rest)
		case "USER":
			user = rest
		case "WORKDIR":
			m.folder = rest
		case "HEALTHCHECK":
			_, rest, _ = strings.Cut(rest, "CMD ")
			m.health = list(t, rest)
		case "ENTRYPOINT":
			m.entry = list(t, rest)
		case "CMD":
			m.cmd = list(t, rest)
		default:
			if !strings.HasPrefix(instruction, "#") {
				t.Fatalf("the Dockerfile has an instruction that this test does not know: %s", line)
			}
		}
	}
	if want := fmt.Sprintf("%d:%[1]d", owner); user != want {
		t.Fatalf("USER is %q, want %s: not root, and a number, since there is no file of names", user, want)
	}
	return m
}

// copy is COPY [--chown=…] SOURCE TARGET, of a file or an empty folder.
func (m *image) copy(t *testing.T, context string, words []string) {
	t.Helper()
	chown := strings.HasPrefix(words[0], "--chown=")
	if chown {
		words = words[1:]
	}
	source, target := filepath.Join(context, words[0]), filepath.Join(m.root, words[1])
	info, err := os.Stat(source)
	if err == nil && info.IsDir() {
		err = os.MkdirAll(target, 0o755)
	} else if err == nil {
		err = errors.Join(os.MkdirAll(filepath.Dir(target), 0o755), os.Link(source, target))
	}
	if err == nil && chown && os.Getuid() == 0 {
		err = os.Chown(target, owner, owner)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, text string) (words []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &words); err != nil {
		t.Fatalf("%s: want a list, since there is no shell: %v", text, err)
	}
	return words
}

// command is a process in the image: its root directory is the image's, it is not root, and its environment is what is given and nothing else. Who may not change
// the root directory does so in a user namespace of its own.
func (m *image) command(env []string, words ...string) *exec.Cmd {
	c := &exec.Cmd{Path: words[0], Args: words, Dir: m.folder, Env: append([]string{}, env...)}
	c.SysProcAttr = &syscall.SysProcAttr{Chroot: m.root}
	if os.Getuid() == 0 {
		c.SysProcAttr.Credential = &syscall.Credential{Uid: owner, Gid: owner}
		return c
	}
	c.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
	c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: owner, HostID: os.Getuid(), Size: 1}}
	c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: owner, HostID: os.Getgid(), Size: 1}}
	return c
}

// TestImage makes the image, and runs its program where there is nothing else: no libraries, no shell, no /proc, no /tmp, no names of users, no environment.
func TestImage(t *testing.T) {
	m := makeImage(t, "9.8.7")
	program, err := elf.Open(filepath.Join(m.root, m.entry[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program has a segment %s: it needs a dynamic linker", p.Type)
		}
	}
	if err := program.Close(); err != nil {
		t.Error(err)
	}
	said, err := m.command(nil, m.entry[0], "version", "--client").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(said), "client 9.8.7 ") {
		t.Fatalf("its version: %v: %s", err, said)
	}
	if said, err := m.command(nil, m.health...).CombinedOutput(); err == nil {
		t.Fatalf("it is healthy before it runs: %s", said)
	}
	m.serves(t)
}

// serves starts the image as a container is started, but for the address, which is of this machine only.
func (m *image) serves(t *testing.T) {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", testkit.Port(t))
	env := append(slices.DeleteFunc(slices.Clone(m.env), func(s string) bool { return strings.HasPrefix(s, "SETPOINT_LISTEN=") }),
		"SETPOINT_LISTEN="+address, "SETPOINT_SERVER=http://"+address)
	var log bytes.Buffer
	server := m.command(env, append(slices.Clone(m.entry), m.cmd...)...)
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	var end error
	go func() { defer close(ended); end = server.Wait() }()
	stop := sync.OnceFunc(func() {
		if err := server.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		<-ended
	})
	t.Cleanup(stop)
	testkit.Wait(t, "the server is healthy", func() bool {
		select {
		case <-ended:
			t.Fatalf("the server has ended: %v\n%s", end, log.String())
		default:
		}
		return m.command(env, m.health...).Run() == nil
	})
	ready, err := m.command(env, m.entry[0], "health").CombinedOutput()
	if err != nil || string(ready) != "ready\n" {
		t.Errorf("setpoint health: %v: %s", err, ready)
	}
	if stop(); end != nil {
		t.Errorf("the server ended with %v\n%s", end, log.String())
	}
	if info, err := os.Stat(filepath.Join(m.root, m.folder, "setpoint.db")); err != nil || info.Size() == 0 {
		t.Errorf("its database: %v", err)
	}
	if !slices.Contains(m.env, "SETPOINT_LISTEN=0.0.0.0:7433") {
		t.Errorf("in a container of its own it has to be reachable from outside: %q", m.env)
	}
}
