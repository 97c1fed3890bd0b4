package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/setpointhq/setpoint/server/location"
)

// Schema looks after the schema of a PostgreSQL database, by its URL. Errors may be a *[Failure].
type Schema interface {
	// Up brings it to the newest version. Should it fail in the midst, the status still says how far it came.
	Up(ctx context.Context, url string) (SchemaStatus, error)
	// Status says where it stands, and Plan is the SQL that Up would run, for psql; "" when there is nothing to do. Both change nothing.
	Status(ctx context.Context, url string) (SchemaStatus, error)
	Plan(ctx context.Context, url string) (sql string, err error)
}

// SchemaStatus says where the schema of a database stands.
type SchemaStatus struct {
	// Database is the place, for people.
	Database string `json:"database"`
	// Version is the newest step done, 0 for none; Known is the newest that this program has.
	Version int64 `json:"version"`
	Known   int64 `json:"known"`
	// Guarded says that a superuser has set the guard over the rules.
	Guarded bool         `json:"guarded"`
	Steps   []SchemaStep `json:"steps"`
}

// SchemaStep is one step of a schema.
type SchemaStep struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	// Applied is when it was done, zero for one that is still to be done.
	Applied time.Time `json:"applied,omitzero"`
}

// pending are the steps still to be done.
func (s SchemaStatus) pending() (steps []SchemaStep) {
	for _, step := range s.Steps {
		if step.Applied.IsZero() {
			steps = append(steps, step)
		}
	}
	return steps
}

func (a *app) migrate() *cobra.Command {
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Look after the schema of a PostgreSQL database",
		Long: `Look after the schema of a PostgreSQL database. Servers may run meanwhile; one that does not understand the new schema
refuses to start, and says so. A SQLite database needs none of this: the server brings it up to date when it opens it.

The database is named as it is for a server: by --store, SETPOINT_STORE, or the file of --config. Its user owns the schema (is a member of
setpoint_owner), or, the first time, may create roles and schemas. A superuser also sets the guard, without which the owner could take the rules away.`,
		Args: a.noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, sub := range []*cobra.Command{a.migrateUp(), a.migrateStatus(), a.migratePlan()} {
		sub.Args = between(0, 0, "no arguments")
		f := sub.Flags()
		f.String("config", "", "YAML file with settings (SETPOINT_CONFIG)")
		f.String("store", "", "the database: postgres://user@host:port/database (SETPOINT_STORE)")
		c.AddCommand(sub)
	}
	return c
}

func (a *app) migrateUp() *cobra.Command {
	return &cobra.Command{
		Use:     "up",
		Short:   "Bring the schema to the newest version",
		Long:    `Bring the schema to the newest version, one step after another, each in a transaction, and print the steps that were done.`,
		Example: "  setpoint migrate up --store postgres://postgres@db.example/plane",
		RunE: func(c *cobra.Command, _ []string) error {
			url, err := a.schemaURL(c.Flags())
			if err != nil {
				return err
			}
			before, err := a.Schema.Status(c.Context(), url)
			if err != nil {
				return err
			}
			after, err := a.Schema.Up(c.Context(), url)
			if told := a.migrated(before, after, err); told != nil {
				return told
			}
			return err
		},
	}
}

// migrated prints what a migration has done, also one that failed.
func (a *app) migrated(before, after SchemaStatus, failed error) error {
	was := map[int64]bool{}
	for _, step := range before.Steps {
		was[step.Version] = !step.Applied.IsZero()
	}
	steps := 0
	for _, step := range after.Steps {
		if was[step.Version] || step.Applied.IsZero() {
			continue
		}
		steps++
		if err := a.out("%s", step.Name); err != nil {
			return err
		}
	}
	if failed != nil {
		return nil
	}
	if steps == 0 {
		if err := a.say("%s has version %d already: nothing to do.", after.Database, after.Version); err != nil {
			return err
		}
	}
	if !after.Guarded {
		return a.say("The guard is not set: only a superuser can. Until then the owner of the schema can take its rules away.")
	}
	return nil
}

func (a *app) migrateStatus() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the steps of the schema, and which are done",
		Long: `Show the steps of the schema, which are done, and whether the guard is set. The exit code is 0 when all are done, and 9 when "setpoint migrate up" has
something to do.`,
		Example: "  setpoint migrate status --store postgres://setpoint@db.example/plane\n  setpoint migrate status -o json | jq .version",
		RunE: func(c *cobra.Command, _ []string) error {
			form, err := parseFormat(output)
			if err != nil {
				return err
			}
			if form.name == "name" {
				return usage("-o name: a schema has no names; want table, json, yaml or jsonpath=…")
			}
			url, err := a.schemaURL(c.Flags())
			if err != nil {
				return err
			}
			st, err := a.Schema.Status(c.Context(), url)
			if err != nil {
				return err
			}
			if err := a.showSchema(form, st); err != nil {
				return err
			}
			if n := len(st.pending()); n > 0 {
				return &Failure{ExitSchema, fmt.Errorf("%s has version %d of %d; %d steps are to be done: run setpoint migrate up", st.Database, st.Version, st.Known, n)}
			}
			if st.Version > st.Known {
				return a.say("%s has version %d; this program knows %d. Servers of this version say when they start whether they understand it.", st.Database, st.Version, st.Known)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "output: table, json, yaml or jsonpath=…")
	completeWords(c, "output", "table", "json", "yaml", "jsonpath=")
	return c
}

func (a *app) migratePlan() *cobra.Command {
	return &cobra.Command{
		Use:   "plan",
		Short: "Print the SQL that migrate up would run",
		Long: `Print the SQL that "setpoint migrate up" would run now, as one transaction, and change nothing. What psql does with it leaves the database as if "up" had
done it. With nothing to do it prints nothing.`,
		Example: "  setpoint migrate plan --store postgres://postgres@db.example/plane | psql -v ON_ERROR_STOP=1 postgres://postgres@db.example/plane",
		RunE: func(c *cobra.Command, _ []string) error {
			url, err := a.schemaURL(c.Flags())
			if err != nil {
				return err
			}
			sql, err := a.Schema.Plan(c.Context(), url)
			if err != nil {
				return err
			}
			return a.print(a.Stdout, sql)
		},
	}
}

// schemaURL is the database whose schema is meant.
func (a *app) schemaURL(flags *pflag.FlagSet) (string, error) {
	if a.Schema == nil {
		return "", usage("this program looks after no schema; use the program setpoint: setpoint migrate")
	}
	k, err := a.settings(flags)
	if err != nil {
		return "", err
	}
	text := k.String("store")
	if text == "" {
		return "", usage("no database is named: want --store postgres://user@host:port/database, or SETPOINT_STORE")
	}
	at, err := location.Parse(text)
	if err != nil {
		return "", usage("store: %w", err)
	}
	if at.Engine != location.Postgres {
		return "", usage("%s: a SQLite database is brought up to date by the server that opens it; there is nothing to do here", at)
	}
	return at.URL, nil
}

// showSchema prints where a schema stands.
func (a *app) showSchema(f format, st SchemaStatus) error {
	if !f.table() {
		return a.value(f, st)
	}
	lines := [][]string{{"STEP", "APPLIED"}}
	for _, step := range st.Steps {
		applied := "-"
		if !step.Applied.IsZero() {
			applied = step.Applied.UTC().Format(time.RFC3339)
		}
		lines = append(lines, []string{printable(step.Name, false), applied})
	}
	guard := "no: run setpoint migrate up as a superuser"
	if st.Guarded {
		guard = "yes"
	}
	lines = append(lines, []string{"guard", guard})
	return (&grid{}).write(a.Stdout, lines)
}
