package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// defaultDirectory is where a server that was started in a folder leaves what clients in that folder need.
const defaultDirectory = ".setpoint"

// ServeConfig is what a server is told.
type ServeConfig struct {
	// Listen is "host:port"; port 0 lets the system choose.
	Listen string `koanf:"listen"`
	// Directory is where the files "server" and "kubeconfig" are left for clients; "" for nowhere. It exists.
	Directory string `koanf:"directory"`
	// Database is the database's file. Its folder exists.
	Database string `koanf:"database"`
	// Grace is how long a stop waits for requests and turns under way.
	Grace time.Duration `koanf:"grace"`
	Log   LogConfig     `koanf:"log"`

	// Logger writes to standard error, as Log says.
	Logger *slog.Logger `koanf:"-"`
	// Listening must be called when requests are served, with the server's URL.
	Listening func(url string) error `koanf:"-"`
	// Stdout and Stderr are the program's.
	Stdout, Stderr io.Writer `koanf:"-"`
}

// LogConfig says what is logged, and how.
type LogConfig struct {
	// Level is the least that is logged: debug, info, warn or error.
	Level slog.Level `koanf:"level"`
	// Format is "text" or "json".
	Format string `koanf:"format"`
}

// Setting documents a key of the configuration.
type Setting struct {
	// Key in the file; its flag is Key with dashes for dots, its variable SETPOINT_ and Key in capitals with underscores.
	Key, Default, Meaning string
}

// Settings lists the keys of the configuration of dev and serve.
var Settings = []Setting{
	{"listen", "127.0.0.1:7433", "Address and port to listen on; port 0 lets the system choose."},
	{"directory", defaultDirectory, `Folder for the files "server" and "kubeconfig", by which clients find the server; empty for none.`},
	{"database", "", `The database's file. Without it: setpoint.db in the directory.`},
	{"grace", "20s", "How long a stop waits for requests and turns under way."},
	{"log.level", "info", "The least that is logged: debug, info, warn or error."},
	{"log.format", "text", "text or json."},
}

// Flag is the name of the setting's flag.
func (s Setting) Flag() string { return strings.ReplaceAll(s.Key, ".", "-") }

// Variable is the name of the setting's environment variable.
func (s Setting) Variable() string {
	return "SETPOINT_" + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

func settingFlags(f *pflag.FlagSet) {
	f.String("config", "", "YAML file with settings (SETPOINT_CONFIG)")
	for _, s := range Settings {
		f.String(s.Flag(), s.Default, fmt.Sprintf("%s (%s)", strings.TrimSuffix(s.Meaning, "."), s.Variable()))
	}
}

// config reads the settings: flags go before the environment, that before the file, that before the defaults.
func (a *app) config(flags *pflag.FlagSet) (ServeConfig, error) {
	var c ServeConfig
	k := koanf.New(".")
	if err := a.configFile(k, flags); err != nil {
		return c, &usageError{err}
	}
	fromEnv := env.Provider(".", env.Opt{Prefix: "SETPOINT_", EnvironFunc: a.Environ, TransformFunc: settingOfVariable})
	if err := k.Load(fromEnv, nil); err != nil {
		return c, &usageError{fmt.Errorf("read the environment: %w", err)}
	}
	fromFlags := posflag.ProviderWithFlag(flags, ".", k, func(f *pflag.Flag) (string, any) {
		for _, s := range Settings {
			if s.Flag() == f.Name {
				return s.Key, f.Value.String()
			}
		}
		return "", nil
	})
	if err := k.Load(fromFlags, nil); err != nil {
		return c, &usageError{fmt.Errorf("read the flags: %w", err)}
	}
	if err := k.Unmarshal("", &c); err != nil {
		return c, usage("the configuration is wrong: %w", err)
	}
	return c, a.complete(&c)
}

func (a *app) configFile(k *koanf.Koanf, flags *pflag.FlagSet) error {
	path := flags.Lookup("config").Value.String()
	if path == "" {
		path = a.env("SETPOINT_CONFIG")
	}
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	if err := k.Load(rawbytes.Provider(text), yamlParser{}); err != nil {
		return fmt.Errorf("configuration %s: %w", path, err)
	}
	known := map[string]bool{}
	for _, s := range Settings {
		known[s.Key] = true
	}
	for _, key := range k.Keys() {
		if !known[key] {
			return fmt.Errorf("configuration %s: there is no setting %q; see: setpoint serve --help", path, key)
		}
	}
	return nil
}

func settingOfVariable(variable, value string) (string, any) {
	for _, s := range Settings {
		if s.Variable() == variable {
			return s.Key, value
		}
	}
	return "", nil // SETPOINT_SERVER and others are not for servers
}

// yamlParser reads configuration files.
type yamlParser struct{}

func (yamlParser) Unmarshal(text []byte) (map[string]any, error) {
	settings := map[string]any{}
	err := yaml.Unmarshal(text, &settings)
	return settings, err
}

func (yamlParser) Marshal(settings map[string]any) ([]byte, error) { return yaml.Marshal(settings) }

// complete judges the settings, and derives what follows from them.
func (a *app) complete(c *ServeConfig) error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return usage("listen %q: want host:port, such as 127.0.0.1:7433", c.Listen)
	}
	if c.Grace < 0 {
		return usage("grace %s: want 0s or more", c.Grace)
	}
	options := &slog.HandlerOptions{Level: c.Log.Level}
	switch c.Log.Format {
	case "text":
		c.Logger = slog.New(slog.NewTextHandler(a.Stderr, options))
	case "json":
		c.Logger = slog.New(slog.NewJSONHandler(a.Stderr, options))
	default:
		return usage("log.format %q: want text or json", c.Log.Format)
	}
	if c.Database == "" {
		c.Database = filepath.Join(c.Directory, "setpoint.db")
	}
	c.Stdout, c.Stderr = a.Stdout, a.Stderr
	return c.folders()
}

// folders makes the folders that a server needs, readable by its owner only.
func (c *ServeConfig) folders() error {
	var problems []error
	for _, folder := range []string{c.Directory, filepath.Dir(c.Database)} {
		if folder != "" {
			problems = append(problems, os.MkdirAll(folder, 0o700))
		}
	}
	return errors.Join(problems...)
}
