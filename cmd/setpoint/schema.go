package main

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/setpointhq/setpoint/cli"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/postgres"
)

// schema is the engine's migrations as the command line wants them.
type schema struct{}

// Up applies what is missing. Its status says how far it came, also when it failed.
func (schema) Up(ctx context.Context, url string) (cli.SchemaStatus, error) {
	st, err := postgres.Migrate(ctx, url)
	if err == nil {
		return status(st), nil
	}
	st, unread := postgres.ReadStatus(ctx, url)
	return status(st), classified(errors.Join(err, unread))
}

// Status reads where the schema stands.
func (schema) Status(ctx context.Context, url string) (cli.SchemaStatus, error) {
	st, err := postgres.ReadStatus(ctx, url)
	return status(st), classified(err)
}

func status(st postgres.Status) cli.SchemaStatus {
	s := cli.SchemaStatus{Database: st.Database, Version: st.Version, Known: st.Known, Guarded: st.Guarded, Steps: []cli.SchemaStep{}}
	for _, m := range st.Migrations {
		s.Steps = append(s.Steps, cli.SchemaStep{Version: m.Version, Name: m.Name, Applied: m.Applied})
	}
	return s
}

// Plan is the SQL of what Up would do.
func (schema) Plan(ctx context.Context, url string) (string, error) {
	st, err := postgres.ReadStatus(ctx, url)
	if err != nil {
		return "", classified(err)
	}
	return st.Script(), nil
}

// classified gives the errors of engines the exit codes that say what to do.
func classified(err error) error {
	var said *pgconn.PgError
	var unreached *pgconn.ConnectError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, postgres.ErrSchema):
		return &cli.Failure{Code: cli.ExitSchema, Err: err}
	case errors.Is(err, postgres.ErrPrivilege), errors.As(err, &said) && refusals[said.Code]:
		return &cli.Failure{Code: cli.ExitRefused, Err: err}
	case errors.Is(err, store.ErrUnavailable), errors.As(err, &unreached):
		return &cli.Failure{Code: cli.ExitUnavailable, Err: err}
	}
	return err
}

// refusals are PostgreSQL's conditions that repeating does not mend: who asks is not let in, there is no such database, or a right is missing.
var refusals = map[string]bool{"28000": true, "28P01": true, "3D000": true, "42501": true}
