package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if len(os.Args) == 4 && os.Args[1] == "databases" {
		return databases(ctx, os.Args[2], os.Args[3])
	}
	if len(os.Args) != 2 {
		return unknown()
	}
	switch os.Args[1] {
	case "serve":
		var c NodeConfig
		if err := configured("SETPOINT_NODE", &c); err != nil {
			return err
		}
		return serve(ctx, c)
	case "subsystems":
		var c SubsystemsConfig
		if err := configured("SETPOINT_SUBSYSTEMS", &c); err != nil {
			return err
		}
		return subsystems(ctx, c)
	}
	return unknown()
}

func unknown() error {
	return fmt.Errorf("want one of: serve, subsystems, databases NAME FOLDER; got %q", os.Args[1:])
}

func configured(variable string, into any) error {
	if err := json.Unmarshal([]byte(os.Getenv(variable)), into); err != nil {
		return fmt.Errorf("read %s: %w", variable, err)
	}
	return nil
}

// writeFile writes a file whole, or not at all: somebody waits for it.
func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
