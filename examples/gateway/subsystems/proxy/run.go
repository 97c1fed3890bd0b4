package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
)

// Environment of a proxy process that a host has started.
const (
	// EnvBoot names this process.
	EnvBoot = "SETPOINT_BOOT"
	// EnvAdminFD is the number of the file descriptor that is the listening admin socket.
	EnvAdminFD = "SETPOINT_ADMIN_FD"
)

// Options configures a proxy process.
type Options struct {
	// Admin is the admin listener, which Run takes over. When nil, AdminAddress is listened on.
	Admin net.Listener
	// AdminAddress is "host:port". Default "127.0.0.1:0".
	AdminAddress string
	// Boot names this process. Default: a random one.
	Boot string
	// Grace bounds how long requests under way may go on after the end was asked for. Default 4 s.
	Grace time.Duration
	// Ready is told the bound admin address.
	Ready func(net.Addr)
	// Log receives what an operator should know. Default slog.Default().
	Log *slog.Logger
}

// Run serves until ctx ends, and then lets the requests under way end.
func Run(ctx context.Context, o Options) error {
	if o.Boot == "" {
		o.Boot = rand.Text()
	}
	if o.Grace <= 0 {
		o.Grace = 4 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Admin == nil {
		if o.AdminAddress == "" {
			o.AdminAddress = "127.0.0.1:0"
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.AdminAddress)
		if err != nil {
			return fmt.Errorf("proxy: %w", err)
		}
		o.Admin = listener
	}
	if o.Ready != nil {
		o.Ready(o.Admin.Addr())
	}
	data := newServer(o.Log)
	admin := NewAdmin(o.Boot, data.load)
	return subsystem.ServeHTTP(ctx, o.Admin, admin, func() error { return data.close(o.Grace) })
}

// Main is the main function of a proxy process: it takes its options from the environment that a host has given it, and
// ends gracefully on SIGTERM and SIGINT.
func Main(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	o := Options{Boot: os.Getenv(EnvBoot)}
	if text := os.Getenv(EnvAdminFD); text != "" {
		fd, err := strconv.Atoi(text)
		if err != nil || fd < 3 {
			return fmt.Errorf("proxy: %s=%q: want the number of a file descriptor from 3", EnvAdminFD, text)
		}
		file := os.NewFile(uintptr(fd), "admin")
		listener, err := net.FileListener(file)
		if err := errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("proxy: take over the admin socket: %w", err)
		}
		o.Admin = listener
	}
	return Run(ctx, o)
}
