package managed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/examples/postgres"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// service is the demo, with the kinds of its API and the machine that its servers run on.
type service struct {
	*program.Demo
	machine
	t                               *testing.T
	databases, servers, credentials client.Kind
}

// newService makes a place for a demo, and starts nothing.
func newService(t *testing.T) *service {
	t.Helper()
	t.TempDir() // is removed after what is cleaned up from here on
	s := &service{t: t}
	t.Cleanup(s.clear)
	s.Demo = program.NewDemo(t, "postgres")
	s.Diagnose = s.diagnosis
	return s
}

// clear removes the data of the servers, which are elsewhere when root runs the demo.
func (s *service) clear() {
	data, err := filepath.EvalSymlinks(s.Path("postgres-host", "data"))
	if err == nil {
		err = os.RemoveAll(data)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Error(err)
	}
}

// introduced waits for the first database to be available, as the program itself says.
func (s *service) introduced() {
	s.t.Helper()
	s.AwaitOutput("Database orders is Available")
	for name, kind := range map[string]*client.Kind{"databases": &s.databases, "servers": &s.servers, "credentials": &s.credentials} {
		var err error
		if *kind, err = s.Client.Resolve(s.t.Context(), name); err != nil {
			s.t.Fatal(err)
		}
	}
	data, err := filepath.EvalSymlinks(s.Path("postgres-host", "data"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.machine = machine{s.t, data}
}

func ref(name string) client.Ref {
	return client.Ref{Namespace: "default", Name: resource.Name(name)}
}

// seen is an object with its parts in Go's types.
type seen[Spec, Status any] struct {
	*client.Object
	client.EngineStatus
	Spec   Spec
	Status Status
}

type (
	database = seen[postgres.DatabaseSpec, postgres.DatabaseStatus]
	server   = seen[postgres.ServerSpec, postgres.ServerStatus]
)

func decode[Spec, Status any](o *client.Object) (v seen[Spec, Status], err error) {
	v.Object = o
	if v.EngineStatus, err = o.Engine(); err != nil {
		return v, err
	}
	return v, errors.Join(o.DecodeSpec(&v.Spec), o.DecodeStatus(&v.Status))
}

// atRest reports whether an object is available and as it should be, for its latest wish.
func (v seen[Spec, Status]) atRest() bool {
	c, ok := v.Condition("Ready")
	return v.State == postgres.Available && ok && c.Status == resource.True && v.ObservedGeneration == v.Metadata.Generation
}

// database is the one that the demo makes.
func (s *service) database(ctx context.Context) (database, error) {
	o, err := s.Client.Get(ctx, s.databases, ref("orders"))
	if err != nil {
		return database{}, err
	}
	return decode[postgres.DatabaseSpec, postgres.DatabaseStatus](o)
}

// fleet are the servers, by name.
func (s *service) fleet(ctx context.Context) (map[string]server, error) {
	all := map[string]server{}
	for o, err := range s.Client.All(ctx, s.servers, client.ListOptions{}) {
		if err != nil {
			return nil, err
		}
		v, err := decode[postgres.ServerSpec, postgres.ServerStatus](o)
		if err != nil {
			return nil, err
		}
		all[string(o.Metadata.Name)] = v
	}
	return all, nil
}

// primary is the name of the server that is written to.
func primary(d database) string { return "orders." + d.Status.Primary }

// replicas are the names of the servers that follow, in order.
func replicas(d database, all map[string]server) (names []string) {
	for name := range all {
		if name != primary(d) && !slices.Contains(d.Status.Detached, strings.TrimPrefix(name, "orders.")) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// credential makes a role, and returns how to connect with it.
func (s *service) credential(name string) string {
	s.t.Helper()
	spec, err := json.Marshal(postgres.CredentialSpec{Database: "orders", User: name})
	if err != nil {
		s.t.Fatal(err)
	}
	o := &client.Object{Metadata: client.Metadata{Namespace: "default", Name: resource.Name(name)}, Spec: spec}
	if _, _, err := s.Client.Apply(s.t.Context(), s.credentials, o, client.WriteOptions{Strict: true}); err != nil {
		s.t.Fatal(err)
	}
	return s.url(name)
}

// url waits until a role may connect.
func (s *service) url(name string) (url string) {
	s.t.Helper()
	_, err := s.Client.Wait(s.t.Context(), s.credentials, ref(name), func(o *client.Object) (bool, error) {
		if o == nil {
			return false, nil
		}
		c, err := decode[postgres.CredentialSpec, postgres.CredentialStatus](o)
		url = c.Status.URL
		return url != "", err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return url
}

// signal raises a signal on the database. A request whose answer was lost is repeated; while the first one stands, there is no second.
func (s *service) signal(ctx context.Context, name string, payload string) error {
	wish := client.Signal{Name: lifecycle.SignalName(name), Why: "the test wants it", Key: "test"}
	if payload != "" {
		wish.Payload = json.RawMessage(payload)
	}
	for {
		_, err := s.Client.Signal(ctx, s.databases, ref("orders"), wish)
		if !errors.Is(err, client.ErrUnknown) {
			return err
		}
	}
}

// ask asks a server itself, over its own socket, as the host's agent does.
func (s *service) ask(ctx context.Context, v server, sql string) ([][]string, error) {
	_, port, err := net.SplitHostPort(v.Status.Address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	session, err := connect(ctx, "postgres://setpoint@localhost/postgres?sslmode=disable", "unix", s.socket(string(v.Metadata.Name), port))
	if err != nil {
		return nil, err
	}
	rows, err := session.query(ctx, 2*time.Second, sql)
	return rows, errors.Join(err, session.leave())
}

// diagnosis is what is known of everything that is not at rest.
func (s *service) diagnosis() string {
	var b strings.Builder
	for _, arguments := range [][]string{
		{"get", "databases"}, {"get", "servers"}, {"get", "endpoints"}, {"why", "database", "orders"}, {"actions", "database", "orders"}, {"signals", "list", "database", "orders"},
		{"history", "database", "orders"},
		{"why", "server", "orders.s1-0"}, {"why", "server", "orders.s1-1"}, {"why", "server", "orders.s1-2"},
		{"history", "server", "orders.s1-0"}, {"history", "server", "orders.s1-1"}, {"history", "server", "orders.s1-2"},
	} {
		output, err := exec.Command(program.Path(), append([]string{"--server", s.Read("server")}, arguments...)...).CombinedOutput()
		fmt.Fprintf(&b, "setpoint %s (%v):\n%s\n", strings.Join(arguments, " "), err, output)
	}
	logs, err := filepath.Glob(filepath.Join(s.data, "servers", "*", "log"))
	for _, path := range logs {
		text, err := os.ReadFile(path)
		lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool {
			return strings.Contains(line, "@") || strings.Contains(line, "Consistent recovery state") // what clients hear
		})
		fmt.Fprintf(&b, "%s (%v):\n%s\n", path, err, strings.Join(lines[max(0, len(lines)-200):], "\n"))
	}
	fmt.Fprintf(&b, "logs: %v\n", err)
	return b.String()
}
