package location_test

import (
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/server/location"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		reason, text string
		want         location.Location
		says         string
	}{
		{"a path is a file", "data/x.db", location.Location{Engine: location.SQLite, File: "data/x.db"}, ""},
		{"whatever is in it", "/a b/c=d:5.db", location.Location{Engine: location.SQLite, File: "/a b/c=d:5.db"}, ""},
		{"so is a URL of one", "sqlite:///var/x%20y.db", location.Location{Engine: location.SQLite, File: "/var/x y.db"}, ""},
		{"a server", "postgres://a:b@c:1,d:2/e?sslmode=disable", location.Location{Engine: location.Postgres, URL: "postgres://a:b@c:1,d:2/e?sslmode=disable"}, ""},
		{"the other name of the scheme", "postgresql:///e", location.Location{Engine: location.Postgres, URL: "postgresql:///e"}, ""},
		{"nothing", "", location.Location{}, "no database is named"},
		{"a relative path would be taken for a host", "sqlite://x.db", location.Location{}, "three slashes"},
		{"options are not for this engine", "sqlite:///x.db?cache=shared", location.Location{}, "nothing after the path"},
		{"an engine that is not there", "mysql://u:secret@h/d", location.Location{}, `there is no engine "mysql": want a path, sqlite:///path, or postgres://`},
	} {
		got, err := location.Parse(c.text)
		if got != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q is %+v, %v; want %+v and %q", c.reason, c.text, got, err, c.want, c.says)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the password: %v", c.reason, err)
		}
	}
}

func TestStringsShowNoPassword(t *testing.T) {
	for _, c := range []struct{ reason, text, want string }{
		{"in front of the host", "postgres://ada:p:w@h1:5,h2/d", "postgres://ada:…@h1:5,h2/d"},
		{"as a parameter", "postgres://h/d?user=a&password=pw&sslmode=disable", "postgres://h/d?user=a&password=…&sslmode=disable"},
		{"none", "postgres://ada@h/d", "postgres://ada@h/d"},
		{"a file", "/x/y.db", "/x/y.db"},
	} {
		l, err := location.Parse(c.text)
		if err != nil || l.String() != c.want {
			t.Errorf("%s: %q is shown as %q (%v), want %q", c.reason, c.text, l, err, c.want)
		}
	}
}
