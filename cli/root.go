package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/resource"
)

// app is one run of the command line.
type app struct {
	Program
	server    string
	namespace string
	token     string
	client    *client.Client
}

// New makes the command tree.
func New(p Program) *cobra.Command {
	_, root := build(p)
	return root
}

func build(p Program) (*app, *cobra.Command) {
	p.defaults()
	a := &app{Program: p}
	root := &cobra.Command{
		Use:   "setpoint",
		Short: "Hold resources at their setpoint",
		Long: `Setpoint holds resources at their setpoint: it compares what is wanted with what is, and acts until they agree.

This program is the server (dev, serve) and the client of one (all else). A client finds its server by --server, or SETPOINT_SERVER, or
the file .setpoint/server that a server started in this folder has written, or else at ` + client.DefaultServer + `.`,
		SilenceUsage:               true,
		SilenceErrors:              true,
		SuggestionsMinimumDistance: 2,
		Args:                       a.noSuchCommand,
		RunE:                       func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	flags := root.PersistentFlags()
	flags.StringVar(&a.server, "server", "", "URL of the server (SETPOINT_SERVER)")
	flags.StringVarP(&a.namespace, "namespace", "n", "", `namespace, "default" when none is said (SETPOINT_NAMESPACE)`)
	flags.StringVar(&a.token, "token", "", "bearer token to present (better in SETPOINT_TOKEN, where other users cannot see it)")
	root.AddGroup(&cobra.Group{ID: "server", Title: "Server:"}, &cobra.Group{ID: "resources", Title: "Resources:"},
		&cobra.Group{ID: "insight", Title: "Insight:"}, &cobra.Group{ID: "upkeep", Title: "Upkeep:"})
	a.add(root, "server", a.dev(), a.serve())
	a.add(root, "resources", a.get(), a.describe(), a.apply(), a.delete(), a.watch(), a.wait(), a.signal())
	a.add(root, "insight", a.why(), a.history(), a.availability(), a.signals(), a.actions(), a.kinds())
	a.add(root, "upkeep", a.doctor(), a.health(), a.nodes(), a.leases(), a.drain(), a.uncordon(), a.takeup(), a.migrate(), a.backup(), a.restore(), a.version())
	for _, c := range p.Hidden {
		c.Hidden = true
		root.AddCommand(c)
	}
	return a, root
}

func (a *app) add(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
		root.AddCommand(c)
	}
}

func (a *app) noSuchCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf(" (did you mean %q?)", near[0])
	}
	return usage("there is no command %q%s", args[0], hint)
}

// atLeast and others check the number of arguments, saying what is wanted.
func atLeast(n int, want string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < n {
			return usage("want %s", want)
		}
		return nil
	}
}

func between(low, high int, want string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < low || len(args) > high {
			return usage("want %s, got %d arguments", want, len(args))
		}
		return nil
	}
}

// env is a variable of the environment, "" when it is not set.
func (a *app) env(name string) string {
	for _, pair := range a.Environ() {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// serverFile is where a server tells clients in the same folder where it is.
var serverFile = filepath.Join(defaultDirectory, "server")

// findServer says where the server is.
func (a *app) findServer() string {
	if a.server != "" {
		return a.server
	}
	if named := a.env("SETPOINT_SERVER"); named != "" {
		return named
	}
	if text, err := os.ReadFile(serverFile); err == nil { // without the file, or the right to read it, the default is as good
		if named := strings.TrimSpace(string(text)); named != "" {
			return named
		}
	}
	return client.DefaultServer
}

// connect returns the client, made on first use.
func (a *app) connect() (*client.Client, error) {
	if a.client != nil {
		return a.client, nil
	}
	token := a.token
	if token == "" {
		token = a.env("SETPOINT_TOKEN")
	}
	c, err := client.New(client.Config{Server: a.findServer(), Token: token, UserAgent: "setpoint/" + a.Version})
	if err != nil {
		return nil, &usageError{err}
	}
	a.client = c
	return c, nil
}

func (a *app) close() {
	if a.client != nil {
		a.client.Close()
	}
}

// inNamespace is the namespace for objects of a kind: "" for kinds without namespaces.
func (a *app) inNamespace(k client.Kind) resource.Namespace {
	switch {
	case !k.Namespaced:
		return ""
	case a.namespace != "":
		return resource.Namespace(a.namespace)
	case a.env("SETPOINT_NAMESPACE") != "":
		return resource.Namespace(a.env("SETPOINT_NAMESPACE"))
	}
	return "default"
}

// say talks to the person, on standard error.
func (a *app) say(format string, args ...any) error {
	return a.print(a.Stderr, fmt.Sprintf(format, args...)+"\n")
}

// out prints a line of data.
func (a *app) out(format string, args ...any) error {
	return a.print(a.Stdout, fmt.Sprintf(format, args...)+"\n")
}

func (a *app) print(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

// target is an object as it was named on the command line; Name is empty for all of a kind.
type target struct {
	client.Kind
	client.Ref
}

// String is "<singular>[.<group>]/<name>", as output names objects.
func (t target) String() string { return objectName(t.Kind, t.Ref.Name) }

func objectName(k client.Kind, name resource.Name) string {
	word := k.Singular
	if word == "" {
		word = strings.ToLower(k.Kind)
	}
	if k.Group != "" {
		word += "." + k.Group
	}
	return word + "/" + string(name)
}

// targets reads "KIND NAME…" or "KIND/NAME…"; a kind alone is one target without a name.
func (a *app) targets(ctx context.Context, args []string) ([]target, error) {
	c, err := a.connect()
	if err != nil {
		return nil, err
	}
	if !strings.Contains(args[0], "/") {
		k, err := c.Resolve(ctx, args[0])
		if err != nil {
			return nil, err
		}
		if len(args) == 1 {
			return []target{{Kind: k, Ref: client.Ref{Namespace: a.inNamespace(k)}}}, nil
		}
		var all []target
		for _, name := range args[1:] {
			if strings.Contains(name, "/") {
				return nil, usage("%q: want KIND NAME… or KIND/NAME…, not both", name)
			}
			all = append(all, target{k, client.Ref{Namespace: a.inNamespace(k), Name: resource.Name(name)}})
		}
		return all, nil
	}
	var all []target
	for _, arg := range args {
		word, name, found := strings.Cut(arg, "/")
		if !found || word == "" || name == "" || strings.Contains(name, "/") {
			return nil, usage("%q: want KIND/NAME", arg)
		}
		k, err := c.Resolve(ctx, word)
		if err != nil {
			return nil, err
		}
		all = append(all, target{k, client.Ref{Namespace: a.inNamespace(k), Name: resource.Name(name)}})
	}
	return all, nil
}

// one reads exactly one object.
func (a *app) one(ctx context.Context, args []string) (target, error) {
	all, err := a.targets(ctx, args)
	if err != nil {
		return target{}, err
	}
	if len(all) != 1 || all[0].Ref.Name == "" {
		return target{}, usage("want one object: KIND NAME, or KIND/NAME")
	}
	return all[0], nil
}

// aboutOne makes c, which has its words already, a command about one object, that shows something of it in any format.
func (a *app) aboutOne(c *cobra.Command, show func(context.Context, target, format) error) *cobra.Command {
	var output string
	c.Args, c.ValidArgsFunction = between(1, 2, "KIND NAME, or KIND/NAME"), a.completeObjects
	c.RunE = func(c *cobra.Command, args []string) error {
		form, err := parseFormat(output)
		if err != nil {
			return err
		}
		t, err := a.one(c.Context(), args)
		if err != nil {
			return err
		}
		return show(c.Context(), t, form)
	}
	outputFlag(c, &output)
	return c
}
