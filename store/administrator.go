package store

import "context"

// administrator is the key of a context's mark.
type administrator struct{}

// AsAdministrator marks a context as that of an administrator, whose reads do not wait behind those of others. What an administrator writes is told by the [Writer]'s name, which begins with
// [AdministratorPrefix].
func AsAdministrator(ctx context.Context) context.Context {
	return context.WithValue(ctx, administrator{}, true)
}

// Administrator reports whether a context is an administrator's.
func Administrator(ctx context.Context) bool { return ctx.Value(administrator{}) != nil }

// The beginnings of the names of writers that go into the next group before the turns: those of administrators, who wait behind nobody else, and those of other clients.
const (
	AdministratorPrefix = "admin:"
	ClientPrefix        = "api:"
)
