package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/examples/postgres"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/test/internal/ledger"
	"github.com/setpointhq/setpoint/test/internal/machine"
)

// Fleet is what a test knows of a service: its API, and the machine that its servers run on. Make it with [Find].
type Fleet struct {
	machine.Machine
	// API finds the service wherever it is.
	API                             *client.Client
	Databases, Servers, Credentials client.Kind
}

// Find resolves the kinds. Data is the folder of all servers.
func Find(t *testing.T, api *client.Client, data string) *Fleet {
	t.Helper()
	f := &Fleet{Machine: machine.Machine{T: t, Data: data}, API: api}
	for name, kind := range map[string]*client.Kind{"databases": &f.Databases, "servers": &f.Servers, "credentials": &f.Credentials} {
		var err error
		if *kind, err = api.Resolve(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// Ref names an object of the namespace that all of this is in.
func Ref(name string) client.Ref {
	return client.Ref{Namespace: "default", Name: resource.Name(name)}
}

// Seen is an object with its parts in Go's types.
type Seen[Spec, Status any] struct {
	*client.Object
	client.EngineStatus
	Spec   Spec
	Status Status
}

type (
	// Database is a database as the API tells of it.
	Database = Seen[postgres.DatabaseSpec, postgres.DatabaseStatus]
	// Server is one of its servers.
	Server = Seen[postgres.ServerSpec, postgres.ServerStatus]
)

// Decode reads the parts of an object.
func Decode[Spec, Status any](o *client.Object) (v Seen[Spec, Status], err error) {
	v.Object = o
	if v.EngineStatus, err = o.Engine(); err != nil {
		return v, err
	}
	return v, errors.Join(o.DecodeSpec(&v.Spec), o.DecodeStatus(&v.Status))
}

// AtRest reports whether an object is available and as it should be, for its latest wish.
func (v Seen[Spec, Status]) AtRest() bool {
	c, ok := v.Condition("Ready")
	return v.State == postgres.Available && ok && c.Status == resource.True && v.ObservedGeneration == v.Metadata.Generation
}

// Database asks for a database.
func (f *Fleet) Database(ctx context.Context, name string) (Database, error) {
	o, err := f.API.Get(ctx, f.Databases, Ref(name))
	if err != nil {
		return Database{}, err
	}
	return Decode[postgres.DatabaseSpec, postgres.DatabaseStatus](o)
}

// Of are the servers of a database, by name; of "" those of all.
func (f *Fleet) Of(ctx context.Context, name string) (map[string]Server, error) {
	all := map[string]Server{}
	for o, err := range f.API.All(ctx, f.Servers, client.ListOptions{}) {
		if err != nil {
			return nil, err
		}
		if name != "" && !strings.HasPrefix(string(o.Metadata.Name), name+".") {
			continue
		}
		v, err := Decode[postgres.ServerSpec, postgres.ServerStatus](o)
		if err != nil {
			return nil, err
		}
		all[string(o.Metadata.Name)] = v
	}
	return all, nil
}

// Primary is the name of the server that is written to.
func Primary(d Database) string { return string(d.Metadata.Name) + "." + d.Status.Primary }

// Replicas are the names of the servers that follow, in order, of those of a database.
func Replicas(d Database, all map[string]Server) (names []string) {
	for name := range all {
		if name != Primary(d) && !slices.Contains(d.Status.Detached, strings.TrimPrefix(name, string(d.Metadata.Name)+".")) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Ask asks a server itself, over its own socket, as the host's agent does.
func (f *Fleet) Ask(ctx context.Context, v Server, sql string) ([][]string, error) {
	_, port, err := net.SplitHostPort(v.Status.Address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	session, err := ledger.Connect(ctx, "postgres://setpoint@localhost/postgres?sslmode=disable", "unix", f.Socket(string(v.Metadata.Name), port))
	if err != nil {
		return nil, err
	}
	rows, err := session.Query(ctx, 2*time.Second, sql)
	return rows, errors.Join(err, session.Leave())
}

// Credential asks for a role in a database, of the same name as its object, and waits for its URL.
func (f *Fleet) Credential(database, name string) (url string) {
	f.T.Helper()
	spec, err := json.Marshal(postgres.CredentialSpec{Database: database, User: strings.ReplaceAll(name, "-", "_")})
	if err != nil {
		f.T.Fatal(err)
	}
	o := &client.Object{Metadata: client.Metadata{Namespace: "default", Name: resource.Name(name)}, Spec: spec}
	if _, _, err := f.API.Apply(f.T.Context(), f.Credentials, o, client.WriteOptions{Strict: true}); err != nil {
		f.T.Fatal(err)
	}
	return f.URL(name)
}

// URL waits until a role may connect.
func (f *Fleet) URL(name string) (url string) {
	f.T.Helper()
	_, err := f.API.Wait(f.T.Context(), f.Credentials, Ref(name), func(o *client.Object) (bool, error) {
		if o == nil {
			return false, nil
		}
		c, err := Decode[postgres.CredentialSpec, postgres.CredentialStatus](o)
		url = c.Status.URL
		return url != "", err
	})
	if err != nil {
		f.T.Fatal(err)
	}
	return url
}
