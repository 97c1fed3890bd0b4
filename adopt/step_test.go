package adopt_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/adopt"
)

func token(p *parcel) *adopt.Token { return &p.Token }

func TestATokenIsStoredBeforeItIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.put("a", parcel{})
		sent := map[adopt.Token]int{}
		intend := ""
		_, stop := run(t, options{Source: s, Interval: time.Second, Workers: 1, Reconcile: func(ctx context.Context, st *step) adopt.Outcome {
			if st.Row.Note != intend { // asked for once more
				st.Row.Note, st.Row.Token = intend, ""
			}
			got, err := st.Token(ctx, token)
			if err != nil {
				return adopt.Fail(err)
			}
			if stored := s.get("a").Token; stored != got {
				t.Errorf("the token is %s and the table has %q", got, stored)
			}
			sent[got]++
			if st.Attempts() < 3 {
				return adopt.Fail(errBroken)
			}
			return adopt.Done()
		}})
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(sent) != 1 || s.count("save") != 1 {
			t.Errorf("four attempts sent %v, with %d saves", sent, s.count("save"))
		}
		intend = "again"
		s.put("a", parcel{Token: s.get("a").Token})
		time.Sleep(time.Minute)
		stop()
		if len(sent) != 2 {
			t.Errorf("a new intent after clearing the field, and what was sent is %v", sent)
		}
		for got := range sent {
			if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(string(got)) {
				t.Errorf("token %q", got)
			}
		}
	})
}

func TestMisuseIsNamed(t *testing.T) {
	for _, tt := range []struct {
		reason    string
		prepare   func(*shelf)
		reconcile func(context.Context, *step) adopt.Outcome
		message   string
	}{
		{
			"a token that the table does not keep must not be sent", func(s *shelf) { s.forget = true },
			func(ctx context.Context, st *step) adopt.Outcome {
				if got, err := st.Token(ctx, token); err == nil {
					return adopt.Await("Sent", "sent "+string(got))
				}
				return adopt.Done() // the error counts, whatever is said
			}, "has not stored it",
		},
		{
			"a change that is not saved would be lost", nil,
			func(_ context.Context, st *step) adopt.Outcome { st.Row.State = "sent"; return adopt.Done() }, "did not save",
		},
		{
			"a save that failed is not a success, whatever is said", func(s *shelf) {
				s.fail = func(operation, _ string) error {
					if operation == "save" {
						return errBroken
					}
					return nil
				}
			},
			func(ctx context.Context, st *step) adopt.Outcome {
				if err := st.Save(ctx); err == nil || st.Save(ctx) == nil {
					return adopt.Await("Saved", "a save that failed did not end the step")
				}
				return adopt.Done()
			}, "save row a at version 1: broken",
		},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf()
				s.put("a", parcel{})
				if tt.prepare != nil {
					tt.prepare(s)
				}
				c, stop := run(t, options{Source: s, Interval: time.Second, Reconcile: tt.reconcile})
				defer stop()
				time.Sleep(time.Minute)
				why, _ := c.Explain("a")
				if why.Outcome.Kind() != "fail" || !strings.Contains(why.Outcome.Message(), tt.message) {
					t.Errorf("outcome: %v", why.Outcome)
				}
			})
		})
	}
}

// lazy saves without making a new version.
type lazy struct{ *shelf }

func (l lazy) Save(ctx context.Context, id string, row parcel, at adopt.Version) (adopt.Version, error) {
	_, err := l.shelf.Save(ctx, id, row, at)
	return at, err
}

func TestASaveHasToChangeTheVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.put("a", parcel{})
		c, stop := run(t, options{Source: lazy{s}, Interval: time.Second, Reconcile: send})
		defer stop()
		synctest.Wait()
		if why, _ := c.Explain("a"); !why.Outcome.Terminal() || !strings.Contains(why.Outcome.Message(), "a save has to change it") {
			t.Errorf("outcome: %v", why.Outcome)
		}
	})
}

func TestARowThatSomebodyElseKeepsWritingGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.put("a", parcel{})
		var quiet atomic.Bool
		c, stop := run(t, options{Source: s, Interval: time.Second, Reconcile: func(ctx context.Context, st *step) adopt.Outcome {
			if !quiet.Load() {
				s.put("a", parcel{})
			}
			return send(ctx, st)
		}})
		defer stop()
		time.Sleep(100 * time.Millisecond)
		if why, _ := c.Explain("a"); !strings.Contains(why.Outcome.Message(), "changed during each") {
			t.Errorf("outcome: %v", why.Outcome)
		}
		quiet.Store(true)
		time.Sleep(time.Minute)
		if got := s.get("a").State; got != "sent" {
			t.Errorf("state %q once it is left alone", got)
		}
	})
}

func TestNewNamesEveryMistake(t *testing.T) {
	_, err := adopt.New(options{})
	for _, want := range []string{"Options.Name", "Options.Source", "Options.Reconcile"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
	_, err = adopt.New(adopt.Options[string, *parcel]{
		Name: "x", Source: pointers{}, Reconcile: func(context.Context, *adopt.Step[string, *parcel]) adopt.Outcome { return adopt.Done() },
	})
	if err == nil || !strings.Contains(err.Error(), "cannot be a ptr") {
		t.Errorf("a row that is a pointer: %v", err)
	}
}

// pointers is a source whose rows would be shared with the step.
type pointers struct{}

func (pointers) Scan(context.Context, func(string)) (adopt.Cursor, error) { return "", errBroken }
func (pointers) Changes(context.Context, adopt.Cursor) (adopt.Batch[string], error) {
	return adopt.Batch[string]{}, errBroken
}
func (pointers) Load(context.Context, string) (*parcel, adopt.Version, error) {
	return nil, "", errBroken
}
func (pointers) Save(context.Context, string, *parcel, adopt.Version) (adopt.Version, error) {
	return "", errBroken
}

func TestRunWorksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		c, stop := run(t, options{Source: s, Interval: time.Second, Reconcile: send})
		<-c.Loaded()
		if err := c.Run(t.Context()); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("a second Run returned %v", err)
		}
		stop()
	})
}
