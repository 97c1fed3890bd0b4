package resource

import (
	"encoding/base64"
	"errors"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// formats are the formats that are judged; others only describe.
var formats = map[string]func(string) error{
	"date-time": want("a date and time like 2026-11-21T09:00:00Z", func(s string) error { _, err := time.Parse(time.RFC3339, s); return err }),
	"date":      want("a date like 2026-11-21", func(s string) error { _, err := time.Parse(time.DateOnly, s); return err }),
	"duration":  want("a duration like 1m30s", func(s string) error { _, err := time.ParseDuration(s); return err }),
	"byte":      want("base64", func(s string) error { _, err := base64.StdEncoding.DecodeString(s); return err }),
	"uuid":      want("a UUID", match(regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`))),
	"hostname":  want("a host name", func(s string) error { return checkSubdomain(strings.ToLower(s)) }),
	"email":     want("an e-mail address", func(s string) error { _, err := mail.ParseAddress(s); return err }),
	"cidr":      want("an address range like 10.0.0.0/8", func(s string) error { _, err := netip.ParsePrefix(s); return err }),
	"ipv4":      want("an IPv4 address", parseIP(netip.Addr.Is4)),
	"ipv6":      want("an IPv6 address", parseIP(netip.Addr.Is6)),
	"ip":        want("an IP address", parseIP(netip.Addr.IsValid)),
	"uri": want("a URI", func(s string) error {
		u, err := url.Parse(s)
		if err == nil && !u.IsAbs() {
			err = errOther
		}
		return err
	}),
}

var errOther = errors.New("it is of another form")

func want(what string, check func(string) error) func(string) error {
	return func(s string) error {
		if check(s) != nil {
			return errors.New(what)
		}
		return nil
	}
}

func match(re *regexp.Regexp) func(string) error {
	return func(s string) error {
		if !re.MatchString(s) {
			return errOther
		}
		return nil
	}
}

func parseIP(right func(netip.Addr) bool) func(string) error {
	return func(s string) error {
		a, err := netip.ParseAddr(s)
		if err == nil && !right(a) {
			err = errOther
		}
		return err
	}
}
