package survey_test

import (
	"errors"
	"testing"

	"github.com/setpointhq/setpoint/availability"
	"github.com/setpointhq/setpoint/availability/survey"
)

func book(t *testing.T, from int, l survey.Limits) *survey.Book {
	t.Helper()
	mustRegister(t)
	b, err := survey.NewBook(kind, "", minute(from), l)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(t *testing.T, b *survey.Book, p *plane) []availability.Life {
	t.Helper()
	lives, err := b.Read(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return lives
}

// same says what a book and a fresh question know of a window, which must be the same.
func same(t *testing.T, reason string, lives []availability.Life, p *plane, from, to int) {
	t.Helper()
	w := availability.Window{From: minute(from), To: minute(to)}
	var reports []availability.Report
	for _, l := range survey.Within(lives, w) {
		reports = append(reports, l.Report(w))
	}
	groups, err := availability.GroupBy(reports, availability.ByAll, 0)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := survey.Ask(t.Context(), p, survey.Question{Kind: kind, Window: w})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := figures(survey.Answer{Groups: groups}), figures(fresh); got != want {
		t.Errorf("%s: %s, want %s", reason, got, want)
	}
}

func TestABookReadsOnlyWhatHasBeenAdded(t *testing.T) {
	p := shop()
	b := book(t, 0, survey.Limits{})
	same(t, "at first", read(t, b, p), p, 0, 120)
	asked := len(p.asked)
	p.at(130, "shop", "a", "a", "Unavailable").at(140, "web", "c", "c2", "Available").at(150, "shop", "a", "a", "Available")
	same(t, "what was added", read(t, b, p), p, 0, 160)
	news := p.asked[asked]
	if news.After != 14 || news.Limit == 0 {
		t.Errorf("it asked %+v, want what came after revision 14", news)
	}
	asked = len(p.asked)
	read(t, b, p)
	if n := len(p.asked) - asked; n != 1 {
		t.Errorf("nothing has been added, and it asked %d times", n)
	}
}

func TestABookForgets(t *testing.T) {
	p := shop().at(130, "shop", "b", "b", "Unavailable").at(140, "shop", "x", "x", "Provisioning")
	b := book(t, 0, survey.Limits{})
	lives := read(t, b, p)
	if len(lives) != 4 {
		t.Fatalf("%d lives", len(lives))
	}
	b.Forget(minute(135))
	lives = read(t, b, p)
	// a says itself when it was born and where it is; b keeps its whole outage, and with it what was before; x began after that; c is gone.
	if len(lives) != 3 || lives[0].UID != "a" || len(lives[0].Moments) != 2 {
		t.Errorf("left are %+v", lives)
	}
	same(t, "what is left is enough for later windows", lives, p, 135, 150)
	p.at(160, "shop", "a", "a", "Unavailable").at(170, "shop", "b", "b", "Available").at(180, "shop", "x", "x", "Available").at(190, "shop", "a", "a", "")
	b.Forget(minute(150))
	same(t, "and for what happens then", read(t, b, p), p, 150, 200)
	b.Forget(minute(195))
	if lives = read(t, b, p); len(lives) != 2 {
		t.Errorf("one is gone for good, left are %+v", lives)
	}
}

func TestABookOutlivesAFailure(t *testing.T) {
	p := shop()
	b := book(t, 0, survey.Limits{})
	away := errors.New("away")
	p.refuse = away
	if _, err := b.Read(t.Context(), p); !errors.Is(err, away) {
		t.Errorf("a database that is away: %v", err)
	}
	same(t, "when it is back", read(t, b, p), p, 0, 120)
	p.at(130, "shop", "a", "a", "Unavailable")
	p.refuse = away
	if _, err := b.Read(t.Context(), p); !errors.Is(err, away) {
		t.Errorf("a database that is away again: %v", err)
	}
	same(t, "and back again", read(t, b, p), p, 0, 140)
}
