// Package location reads what a server is told about where its database is: the file of a SQLite database, or the URL of a PostgreSQL one.
//
//	location.Parse("/var/lib/setpoint/setpoint.db")      // a file
//	location.Parse("sqlite:///var/lib/setpoint/setpoint.db") // the same
//	location.Parse("postgres://app@db:5432/plane")       // a server
//
// It knows no engine: it only tells which one is meant. Package server opens it.
package location

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Engine is a kind of database.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Location is where a database is.
type Location struct {
	Engine Engine
	// File is that of a SQLite database, URL that of a PostgreSQL one, as it was given. The other one is empty.
	File, URL string
}

// Forms says how a location may be written.
const Forms = "a path, sqlite:///path, or postgres://user@host:port/database"

// Parse reads a location. The URL of a server is not looked into: its driver does that. Errors do not contain passwords.
func Parse(text string) (Location, error) {
	scheme, rest, found := strings.Cut(text, "://")
	switch {
	case text == "":
		return Location{}, fmt.Errorf("no database is named: want %s", Forms)
	case !found:
		return Location{Engine: SQLite, File: text}, nil
	case scheme == "postgres" || scheme == "postgresql":
		return Location{Engine: Postgres, URL: text}, nil
	case scheme != "sqlite":
		return Location{}, fmt.Errorf("database %q: there is no engine %q: want %s", Redacted(text), scheme, Forms)
	}
	path, err := url.PathUnescape(rest)
	if err != nil || !strings.HasPrefix(path, "/") || strings.ContainsAny(rest, "?#") {
		return Location{}, fmt.Errorf("database %q: want sqlite:///path, with three slashes and nothing after the path, or the path alone", text)
	}
	return Location{Engine: SQLite, File: path}, nil
}

// String is the location for people, without a password.
func (l Location) String() string {
	if l.Engine == Postgres {
		return Redacted(l.URL)
	}
	return l.File
}

var secrets = regexp.MustCompile(`(://[^/@:]*):[^/@]*@|([?&](?:ssl)?password=)[^&]*`)

// Redacted is a text without the passwords of a URL in it.
func Redacted(text string) string {
	return secrets.ReplaceAllStringFunc(text, func(s string) string {
		if strings.HasPrefix(s, "://") {
			user, _, _ := strings.Cut(s[len("://"):], ":")
			return "://" + user + ":…@"
		}
		name, _, _ := strings.Cut(s, "=")
		return name + "=…"
	})
}
