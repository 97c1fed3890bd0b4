package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/examples/internal/daemon"
	"github.com/setpointhq/setpoint/examples/postgres"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/endpoint"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/server"
)

// Options configure [Run].
type Options struct {
	// Directory holds the subsystems' folders, the servers' data and the key of the passwords.
	Directory string
	// Server is completed with kinds, controllers and adapters.
	Server server.Options
	// Output is where the address and the next commands are printed.
	Output io.Writer
	Logger *slog.Logger
	// Empty does not create the first database.
	Empty bool
}

// Names lists the subsystems, in the order in which they are started.
var Names = []string{"postgres-host", "postgres-endpoint"}

var runners = map[string]daemon.Runner{
	"postgres-host": func(ctx context.Context, dir, listen string, ready func(net.Addr)) error {
		data, err := dataFolder(dir)
		if err != nil {
			return err
		}
		return host.Run(ctx, host.Options{Dir: dir, Data: data, Listen: listen, Ready: ready, StopServers: true})
	},
	"postgres-endpoint": func(ctx context.Context, dir, listen string, ready func(net.Addr)) error {
		return endpoint.Run(ctx, endpoint.Options{Dir: dir, Listen: listen, Ready: ready})
	},
}

// RunSubsystem runs one subsystem in dir until ctx ends. known is false for a name that is none of [Names].
func RunSubsystem(ctx context.Context, name, dir string) (known bool, err error) {
	run, known := runners[name]
	if !known {
		return false, nil
	}
	return true, daemon.Run(ctx, name, dir, run)
}

// Run starts what is not running yet, and serves until ctx ends. The subsystems and the servers go on; [Stop] ends them.
func Run(ctx context.Context, o Options) error {
	at, err := StartAll(ctx, o.Directory)
	if err != nil {
		return err
	}
	secrets, err := key(filepath.Join(o.Directory, "secret"))
	if err != nil {
		return err
	}
	o.Server.Kinds, o.Server.Controllers = postgres.Kinds(), postgres.Controllers(secrets)
	o.Server.Adapters = Adapters(at, o.Logger)
	if !o.Empty {
		o.Server.Running = func(ctx context.Context, p *setpoint.Plane) error { return introduce(ctx, o, p) }
	}
	return server.Run(ctx, o.Server)
}

// dataFolder is where the servers keep their data: below the host's folder. Those of root run as another user, who must not be let into the demo's own folder, so
// there is only a link to theirs, which is made anew for every demo.
func dataFolder(dir string) (string, error) {
	if os.Geteuid() != 0 {
		return "", nil
	}
	link := filepath.Join(dir, "data")
	data, err := os.Readlink(link)
	if err == nil {
		return data, os.MkdirAll(data, 0o711)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if data, err = os.MkdirTemp("/var/tmp", "setpoint-"); err != nil {
		return "", err
	}
	return data, errors.Join(os.Chmod(data, 0o711), os.Symlink(data, link))
}

// StartAll makes sure that every subsystem runs, and returns their addresses by name.
func StartAll(ctx context.Context, root string) (map[string]string, error) {
	at := map[string]string{}
	for _, name := range Names {
		address, err := daemon.Start(ctx, name, filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		at[name] = address
	}
	return at, nil
}

// Stop ends the subsystems below a directory, and with the host its servers.
func Stop(ctx context.Context, root string) error {
	var problems []error
	for i := len(Names) - 1; i >= 0; i-- {
		problems = append(problems, daemon.Stop(ctx, Names[i], filepath.Join(root, Names[i])))
	}
	return errors.Join(problems...)
}

// Adapters are the ways to the subsystems.
func Adapters(at map[string]string, log *slog.Logger) []setpoint.Adapter {
	hosts := host.NewAdapter(host.AdapterOptions{
		Client: subsystem.ClientOptions{URL: "http://" + at["postgres-host"], Log: log}, Object: object, Log: log,
		Adrift: postgres.Adrift,
		Unsure: true, // what has happened while this process did not run is said once it is known
	})
	proxies := subsystem.NewClient(subsystem.ClientOptions{URL: "http://" + at["postgres-endpoint"], Log: log})
	return []setpoint.Adapter{
		// A copy of a database takes its time; the host goes on with it when the connection breaks.
		{Name: "hosts", Adapter: hosts, Policy: setpoint.Policy{Timeout: 10 * time.Minute, Cap: 2 * time.Second}},
		{Name: "endpoints", Adapter: proxies, Policy: setpoint.Policy{Timeout: 20 * time.Second, Cap: 2 * time.Second}},
	}
}

// object is the object of a server, by its name at the host.
func object(name string) (resource.Key, bool) {
	namespace, rest, ok := strings.Cut(name, "/")
	return postgres.Servers.Key(resource.Namespace(namespace), resource.Name(rest)), ok
}

// key reads the key of the passwords, or makes one.
func key(path string) (postgres.Secrets, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		return postgres.Secrets{Key: text}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return postgres.Secrets{}, err
	}
	text = make([]byte, 32)
	rand.Read(text) // crypto/rand never fails
	return postgres.Secrets{Key: text}, os.WriteFile(path, text, 0o600)
}

// introduce creates the first database with a role, waits until both are there, and says what to try.
func introduce(ctx context.Context, o Options, p *setpoint.Plane) error {
	orders := postgres.Databases.Key("default", "orders")
	app := postgres.Credentials.Key("default", "app")
	if _, exists := p.View().Get(orders); !exists {
		d, err := postgres.Databases.New("default", "orders", postgres.DatabaseSpec{Replicas: 2}, resource.Birth{})
		if err != nil {
			return err
		}
		c, err := postgres.Credentials.New("default", "app", postgres.CredentialSpec{Database: "orders", User: "app"}, resource.Birth{})
		if err != nil {
			return err
		}
		for _, made := range []*setpoint.Object{d, c} {
			if _, err := p.Create(ctx, "api:demo", made, false); err != nil {
				return err
			}
		}
	}
	o.say("The subsystems run; their files are in %s. Waiting for the database and its replicas ...", o.Directory)
	if err := await(ctx, p, func() bool {
		d, there := p.View().Get(orders)
		c, also := p.View().Get(app)
		return there && also && d.State == postgres.Available && d.Ready() && c.Ready()
	}); err != nil {
		return err
	}
	stored, ok := p.View().Get(app)
	if !ok {
		return errors.New("the credential is gone")
	}
	c, err := resource.View[postgres.CredentialSpec, postgres.CredentialStatus](stored)
	if err != nil {
		return err
	}
	o.say("%s", guide(c.Status.URL))
	return nil
}

// await follows the feed until something holds.
func await(ctx context.Context, p *setpoint.Plane, holds func() bool) error {
	for {
		at := p.View().Revision()
		if holds() {
			return nil
		}
		if err := p.View().WaitFor(ctx, at+1); err != nil {
			return err
		}
	}
}

func (o Options) say(format string, args ...any) {
	if o.Output != nil {
		fmt.Fprintf(o.Output, format+"\n", args...)
	}
}

// guide is what a person sees when the demo is up.
func guide(url string) string {
	return fmt.Sprintf(`
Database orders is Available, with two replicas.

  psql '%s' -c 'select inet_server_port(), pg_is_in_recovery()'

Things to try next, in this folder:

  setpoint get servers -w                               # watch what follows
  setpoint signal database/orders NeedsPromote --why "to see it"
  setpoint why database orders                          # which step it is at
  setpoint signals table databases                      # which signal leads to which action
  kill -9 the first process of a server                 # it is missed after two seconds, and another one leads

Stop with Ctrl-C: the servers go on, and are found again. "setpoint demo-stop" ends them too.`, url)
}
