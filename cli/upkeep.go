package cli

import (
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"
)

func (a *app) backup() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Back up the server's database while it runs",
		Long: `Have the server write a backup of its database to FILE, without stopping. FILE is on the server's machine, in a folder that exists, and must not exist
yet. A path that is not absolute is meant from the present folder, which is right when the server runs on this machine.`,
		Example: "  setpoint backup /var/backups/setpoint-$(date +%F).db",
		Args:    between(1, 1, "the FILE to write"),
		RunE: func(c *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[0])
			if err != nil {
				return &usageError{err}
			}
			server, err := a.connect()
			if err != nil {
				return err
			}
			if err := server.Backup(c.Context(), path); err != nil {
				return err
			}
			return a.out("%s", path)
		},
	}
}

func (a *app) restore() *cobra.Command {
	return &cobra.Command{
		Use:   "restore BACKUP TARGET",
		Short: "Make a database of a backup, with the server stopped",
		Long: `Make the database TARGET of the file BACKUP. No server may be running on TARGET. The new database begins a new incarnation, so that whoever acts on
commands of the old one is told apart.`,
		Example: "  setpoint restore /var/backups/setpoint-2026-01-31.db setpoint.db",
		Args:    between(2, 2, "BACKUP and TARGET"),
		RunE: func(c *cobra.Command, args []string) error {
			if a.Restore == nil {
				return usage("this program has no database to restore")
			}
			if err := a.Restore(c.Context(), args[0], args[1]); err != nil {
				return err
			}
			return a.out("%s", args[1])
		},
	}
}

func (a *app) version() *cobra.Command {
	var clientOnly bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Show the versions of this program and of the server",
		Args:  between(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := a.out("client %s (%s %s/%s)", a.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH); err != nil || clientOnly {
				return err
			}
			server, err := a.connect()
			if err != nil {
				return err
			}
			version, err := server.ServerVersion(c.Context())
			if err != nil {
				return a.say("No server: %s", printable(err.Error(), false))
			}
			return a.out("server %s at %s", printable(version, false), server.Server())
		},
	}
	c.Flags().BoolVar(&clientOnly, "client", false, "this program only")
	return c
}
