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

	"github.com/setpointhq/setpoint/server/location"
)

// defaultDirectory is where a server that was started in a folder leaves what clients in that folder need.
const defaultDirectory = ".setpoint"

// ServeConfig is what a server is told.
type ServeConfig struct {
	// Listen is "host:port"; port 0 lets the system choose.
	Listen string `koanf:"listen"`
	// Admin says where the administrator's lane is.
	Admin AdminConfig `koanf:"admin"`
	// Directory is where the files "server" and "kubeconfig" are left for clients; "" for nowhere. It exists.
	Directory string `koanf:"directory"`
	// Store says where the database is, in one of the forms of [location.Parse]. It is a good one, and the folder of a file exists.
	Store string `koanf:"store"`
	// Migrate asks for the schema of a PostgreSQL database to be brought to the newest version first. It is what dev does.
	Migrate bool `koanf:"migrate"`
	// Postgres tunes the engine on a PostgreSQL database.
	Postgres PostgresConfig `koanf:"postgres"`
	// Alertmanagers are the URLs of those that hear of objects in trouble; Alert says who else, and how.
	Alertmanagers []string    `koanf:"alertmanager"`
	Alert         AlertConfig `koanf:"alert"`
	// Availability is how availability is measured for the metrics.
	Availability AvailabilityConfig `koanf:"availability"`
	// LeaseTTL is how long the work of a server that died waits for another one.
	LeaseTTL time.Duration `koanf:"lease-ttl"`
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

// PostgresConfig is what a server is told about a PostgreSQL database. Zero values take the engine's defaults.
type PostgresConfig struct {
	Name             string        `koanf:"name"`
	Readers          int           `koanf:"readers"`
	RetainRevisions  int           `koanf:"retain-revisions"`
	RetainHistory    time.Duration `koanf:"retain-history"`
	LockTimeout      time.Duration `koanf:"lock-timeout"`
	StatementTimeout time.Duration `koanf:"statement-timeout"`
	Patience         time.Duration `koanf:"patience"`
	Heartbeat        time.Duration `koanf:"heartbeat"`
}

// AdminConfig says where the administrator's lane is: Listen is "host:port", "" for none.
type AdminConfig struct {
	Listen string `koanf:"listen"`
}

// AvailabilityConfig says how availability is measured for the metrics.
type AvailabilityConfig struct {
	// Window is the length of the period up to now.
	Window time.Duration `koanf:"window"`
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
	// Key in the file, where a dot leads into a section; its flag is Key with dashes for dots, its variable SETPOINT_ and Key in capitals with underscores.
	Key, Default, Meaning string
	// Many says that there may be several values: a list in the file, a flag that is repeated, words in the variable.
	Many bool
}

// Settings lists the keys of the configuration of dev and serve.
var Settings = []Setting{
	{"listen", "127.0.0.1:7433", "Address and port to listen on; port 0 lets the system choose.", false},
	{"admin.listen", "", "Address and port of the administrator's lane: the same doors with slots of their own, whose writes go first. Keep it to people and their tools. Without it: none.", false},
	{"directory", defaultDirectory, `Folder for the files "server" and "kubeconfig", by which clients find the server; empty for none.`, false},
	{"store", "", "The database: " + location.Forms + ". Without it: the file setpoint.db in the directory. A password is better in the environment, in PGPASSWORD, or in ~/.pgpass.", false},
	{"migrate", "false", "Bring the schema of a PostgreSQL database to the newest version first; dev always does.", false},
	{"alertmanager", "", "URL of an Alertmanager that is told when objects are in trouble, one alert per cause. There may be several.", true},
	{"alert.webhook", "", "URL that gets a POST for every change of such a group. There may be several.", true},
	{"alert.webhook-key-file", "", "File with the key that signs the bodies to webhooks, by HMAC-SHA256.", false},
	{"alert.plane", "", "Name by which receivers tell this plane from others.", false},
	{"availability.window", "720h", "Length of the period up to now that the metrics about availability are about.", false},
	{"lease-ttl", "10s", "How long the work of a server that died waits for another one; the same for all servers of a database, and 100ms or more.", false},
	{"grace", "20s", "How long a stop waits for requests and turns under way.", false},
	{"log.level", "info", "The least that is logged: debug, info, warn or error.", false},
	{"log.format", "text", "text or json.", false},
	{"postgres.name", "", "Name of this server: as a node, in pg_stat_activity and in messages. Without it: the host's name and the process number.", false},
	{"postgres.readers", "4", "Most connections for reading. Besides them there are six: for commits, leases, membership, notifications, the feed and administrators.", false},
	{"postgres.retain-revisions", "1000000", "How many commits the feed keeps for watchers that fell behind; negative keeps all.", false},
	{"postgres.retain-history", "0s", "How long history is kept; 0s for ever.", false},
	{"postgres.lock-timeout", "5s", "How long a commit waits for another server's before it is given up, and who is in the way is named.", false},
	{"postgres.statement-timeout", "30s", "How long a commit may take as a whole.", false},
	{"postgres.patience", "5s", "How long a request waits for a database that is away before it fails.", false},
	{"postgres.heartbeat", "3s", "How often the newest revision is asked for while nothing else tells it.", false},
}

// Flag is the name of the setting's flag.
func (s Setting) Flag() string { return strings.ReplaceAll(s.Key, ".", "-") }

// Variable is the name of the setting's environment variable.
func (s Setting) Variable() string {
	return "SETPOINT_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(s.Key))
}

func settingFlags(f *pflag.FlagSet) {
	f.String("config", "", "YAML file with settings (SETPOINT_CONFIG)")
	for _, s := range Settings {
		usage := fmt.Sprintf("%s (%s)", strings.TrimSuffix(s.Meaning, "."), s.Variable())
		if s.Many {
			f.StringArray(s.Flag(), nil, usage)
		} else {
			f.String(s.Flag(), s.Default, usage)
		}
	}
	f.Lookup("migrate").NoOptDefVal = "true"
}

// config reads the settings of a server.
func (a *app) config(flags *pflag.FlagSet) (ServeConfig, error) {
	var c ServeConfig
	k, err := a.settings(flags)
	if err != nil {
		return c, err
	}
	if err := k.Unmarshal("", &c); err != nil {
		return c, usage("the configuration is wrong: %w", err)
	}
	return c, a.complete(&c)
}

// settings are the layers of the configuration: flags go before the environment, that before the file, that before the defaults of the flags.
func (a *app) settings(flags *pflag.FlagSet) (*koanf.Koanf, error) {
	k := koanf.New(".")
	if err := a.configFile(k, flags); err != nil {
		return nil, &usageError{err}
	}
	fromEnv := env.Provider(".", env.Opt{Prefix: "SETPOINT_", EnvironFunc: a.Environ, TransformFunc: settingOfVariable})
	if err := k.Load(fromEnv, nil); err != nil {
		return nil, &usageError{fmt.Errorf("read the environment: %w", err)}
	}
	fromFlags := posflag.ProviderWithFlag(flags, ".", k, func(f *pflag.Flag) (string, any) {
		for _, s := range Settings {
			if s.Flag() != f.Name {
				continue
			}
			if list, ok := f.Value.(pflag.SliceValue); ok {
				return s.Key, list.GetSlice()
			}
			return s.Key, f.Value.String()
		}
		return "", nil
	})
	if err := k.Load(fromFlags, nil); err != nil {
		return nil, &usageError{fmt.Errorf("read the flags: %w", err)}
	}
	return k, nil
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
		switch {
		case s.Variable() != variable:
		case s.Many:
			return s.Key, strings.Fields(value)
		default:
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
	if _, _, err := net.SplitHostPort(c.Admin.Listen); err != nil && c.Admin.Listen != "" {
		return usage("admin.listen %q: want host:port, such as 127.0.0.1:7434", c.Admin.Listen)
	}
	if c.LeaseTTL < 100*time.Millisecond {
		return usage("lease-ttl %s: want 100ms or more", c.LeaseTTL)
	}
	if c.Grace < 0 {
		return usage("grace %s: want 0s or more", c.Grace)
	}
	if c.Availability.Window <= 0 {
		return usage("availability.window %s: want more than 0s", c.Availability.Window)
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
	if c.Store == "" {
		c.Store = filepath.Join(c.Directory, "setpoint.db")
	}
	at, err := location.Parse(c.Store)
	if err != nil {
		return usage("store: %w", err)
	}
	if err := errors.Join(c.Postgres.check(), c.receivers()); err != nil {
		return err
	}
	c.Stdout, c.Stderr = a.Stdout, a.Stderr
	return c.folders(at)
}

// check refuses what no engine can work with.
func (p PostgresConfig) check() error {
	if p.Readers < 0 {
		return usage("postgres.readers %d: want 1 or more", p.Readers)
	}
	for _, d := range []struct {
		key  string
		time time.Duration
	}{
		{"retain-history", p.RetainHistory}, {"lock-timeout", p.LockTimeout}, {"statement-timeout", p.StatementTimeout},
		{"patience", p.Patience}, {"heartbeat", p.Heartbeat},
	} {
		if d.time < 0 {
			return usage("postgres.%s %s: want 0s or more", d.key, d.time)
		}
	}
	if p.StatementTimeout < p.LockTimeout {
		return usage("postgres.statement-timeout %s: want more than postgres.lock-timeout, which is %s", p.StatementTimeout, p.LockTimeout)
	}
	return nil
}

// folders makes the folders that a server needs, readable by its owner only.
func (c *ServeConfig) folders(at location.Location) error {
	needed := []string{c.Directory}
	if at.Engine == location.SQLite {
		needed = append(needed, filepath.Dir(at.File))
	}
	var problems []error
	for _, folder := range needed {
		if folder != "" {
			problems = append(problems, os.MkdirAll(folder, 0o700))
		}
	}
	return errors.Join(problems...)
}
