package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
)

func (a *app) serve() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run a server",
		Long: `Run a server until it is told to stop (SIGINT, SIGTERM). Settings come from flags, then the environment, then the file that --config
names, then the defaults.

The database is a file (SQLite), for one server, or a PostgreSQL server, for many. The schema of the latter is brought up to date by
"setpoint migrate up", or here with --migrate.`,
		Example: `  setpoint serve --store /var/lib/setpoint/setpoint.db --log-format json
  setpoint serve --store postgres://setpoint@db.example/plane`,
		Args: between(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.runServer(c, "serve", false, a.Serve)
		},
	}
	settingFlags(c.Flags())
	return c
}

func (a *app) dev() *cobra.Command {
	var demo string
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run a server to try things with, in this folder",
		Long: strings.TrimRight(`Run a server that keeps everything in ./`+defaultDirectory+`, where the other commands, started in the same folder, find it. With --demo it
brings kinds, controllers and subsystems to look at. With --store it uses another database, and brings its schema up to date.

`+a.demoList(), "\n"),
		Example: a.demoExample(),
		Args:    between(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if demo == "" {
				return a.runServer(c, "dev", true, a.Serve)
			}
			d, ok := a.Demos[demo]
			if !ok {
				return usage("there is no demo %q; want one of: %s", demo, strings.Join(slices.Sorted(maps.Keys(a.Demos)), ", "))
			}
			return a.runServer(c, "dev", true, d.Start)
		},
	}
	c.Flags().StringVar(&demo, "demo", "", "name of a demo to run")
	completeWords(c, "demo", slices.Sorted(maps.Keys(a.Demos))...)
	settingFlags(c.Flags())
	return c
}

func (a *app) demoList() string {
	if len(a.Demos) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("Demos:\n")
	for _, name := range slices.Sorted(maps.Keys(a.Demos)) {
		fmt.Fprintf(&b, "  %-12s %s\n", name, a.Demos[name].Summary)
	}
	return b.String()
}

func (a *app) demoExample() string {
	if len(a.Demos) == 0 {
		return "  setpoint dev"
	}
	return "  setpoint dev --demo " + slices.Sorted(maps.Keys(a.Demos))[0]
}

func (a *app) runServer(c *cobra.Command, name string, migrate bool, run func(context.Context, ServeConfig) error) error {
	if run == nil {
		return usage("this program has no server for %q", name)
	}
	config, err := a.config(c.Flags())
	if err != nil {
		return err
	}
	config.Migrate = config.Migrate || migrate
	files := &serverFiles{directory: config.Directory}
	config.Listening = func(url string) error {
		if err := files.write(url); err != nil {
			return err
		}
		return a.say("Serving at %s", url)
	}
	err = run(c.Context(), config)
	if errors.Is(err, context.Canceled) && c.Context().Err() != nil {
		err = nil // it was told to stop, and has
	}
	return errors.Join(err, files.remove())
}

// serverFiles are what a server leaves in its directory for clients.
type serverFiles struct {
	directory string
	url       string
}

func (f *serverFiles) write(url string) error {
	if f.directory == "" {
		return nil
	}
	f.url = url
	if err := client.WriteKubeconfig(filepath.Join(f.directory, "kubeconfig"), url); err != nil {
		return err
	}
	return client.WriteFile(filepath.Join(f.directory, "server"), []byte(url+"\n"))
}

// remove takes the files back, unless another server has written its own meanwhile.
func (f *serverFiles) remove() error {
	if f.url == "" {
		return nil
	}
	path := filepath.Join(f.directory, "server")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || strings.TrimSpace(string(text)) != f.url {
		return err
	}
	return errors.Join(removed(path), removed(filepath.Join(f.directory, "kubeconfig")))
}

// removed removes a file, which need not exist.
func removed(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
