package storetest

import (
	"errors"
	"time"

	"github.com/setpointhq/setpoint/store"
)

var pauseScenarios = []scenario{
	{name: "Pause/None", reason: "a database is not paused until somebody says so, and to end no pause changes nothing", run: pauseNone, divides: true},
	{name: "Pause/Known", reason: "a beat brings the pause with a newer version, and who asks is told the same", run: pauseKnown, divides: true},
	{name: "Pause/Longer", reason: "a pause that is asked for again has stood still since it began, and ends as the last one said", run: pauseLonger, divides: true},
	{name: "Pause/Ends", reason: "a pause that nobody ends is over when its time has passed, and the next one is a new one", run: pauseEnds, divides: true},
	{name: "Pause/Invalid", reason: "a pause has an asker and an end, not too far away; what is refused changes nothing", run: pauseInvalid, divides: true},
	{name: "Pause/Moves", reason: "a pause and its end are announced to every process", run: pauseMoves, divides: true},
	{name: "Pause/Takes", reason: "a pause stops nobody from taking shards and committing", run: pauseTakes, divides: true},
	{name: "Pause/Restart", reason: "a restart of the engine keeps the pause, and when it ends", run: pauseRestart, divides: true, reopens: true},
	{name: "Pause/Closed", reason: "a closed store answers nothing", run: pauseClosed, divides: true},
}

// pause asks for a pause, or ends the scenario.
func (s *suite) pause(by string, length time.Duration) store.Pause {
	s.Helper()
	p, err := s.sharded().Pause(s.ctx, by, length)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// paused reads the pause, or ends the scenario.
func (s *suite) paused() store.Pause {
	s.Helper()
	p, err := s.sharded().Paused(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// samePause reports whether two answers are about one pause. What is left of it differs.
func samePause(a, b store.Pause) bool {
	return a.On() == b.On() && a.By == b.By && a.Since.Equal(b.Since) && a.Until.Equal(b.Until)
}

func pauseNone(s *suite) {
	before := s.join("n1")
	if p := s.pause("", 0); p != (store.Pause{}) || before.Pause != (store.Pause{}) || s.paused() != (store.Pause{}) {
		s.Errorf("nobody has asked, and the pause is %+v, %+v in a beat", p, before.Pause)
	}
	if now := s.join("n1"); now.Version != before.Version {
		s.Errorf("ending no pause makes version %d of %d", now.Version, before.Version)
	}
}

func pauseKnown(s *suite) {
	before := s.join("n1")
	p := s.pause("ada", time.Hour)
	if p.By != "ada" || p.Since.IsZero() || !p.Until.Equal(p.Since.Add(time.Hour)) || p.Left <= 0 || p.Left > time.Hour {
		s.Errorf("pause %+v; want one by ada, for an hour", p)
	}
	b := beat("n1", time.Hour)
	b.Known = before.Version
	st := s.says(b)
	if !samePause(st.Pause, p) || st.Pause.Left > p.Left || st.Version <= before.Version || st.Shards == nil {
		s.Errorf("a beat brings %+v, version %d (%d before), shards %v; want %+v, with less left, and a newer version", st.Pause, st.Version, before.Version, st.Shards, p)
	}
	b.Known = st.Version
	if again := s.says(b); !samePause(again.Pause, p) || again.Shards != nil {
		s.Errorf("who knows the version gets the pause all the same: %+v, and no shards: %v", again.Pause, again.Shards)
	}
	if read := s.paused(); !samePause(read, p) {
		s.Errorf("who asks is told %+v, want %+v", read, p)
	}
	if p := s.pause("", 0); p != (store.Pause{}) {
		s.Errorf("it was ended, and is %+v", p)
	}
	if over := s.says(b); over.Pause != (store.Pause{}) || over.Version <= st.Version {
		s.Errorf("it was ended, and a beat brings %+v, version %d after %d", over.Pause, over.Version, st.Version)
	}
}

func pauseLonger(s *suite) {
	first := s.pause("ada", time.Hour)
	version := s.join("n1").Version
	second := s.pause("bob", 3*time.Hour)
	if second.By != "bob" || !second.Since.Equal(first.Since) || second.Until.Before(first.Until.Add(time.Hour)) {
		s.Errorf("asked for again it is %+v, after %+v; want the later end and who asked last, since the same moment", second, first)
	}
	if st := s.join("n1"); !samePause(st.Pause, second) || st.Version <= version {
		s.Errorf("a beat brings %+v, version %d after %d; want %+v", st.Pause, st.Version, version, second)
	}
	if third := s.pause("bob", time.Minute); !third.Until.Before(first.Until) || !third.Since.Equal(first.Since) {
		s.Errorf("it can be made shorter: %+v", third)
	}
}

func pauseEnds(s *suite) {
	first := s.pause("ada", time.Millisecond)
	for s.join("n1").Pause.On() || s.paused().On() {
		if s.ctx.Err() != nil {
			s.Fatal("the time of a pause does not pass")
		}
	}
	version := s.join("n1").Version
	s.pause("", 0)
	if now := s.join("n1").Version; now < version {
		s.Errorf("version %d follows %d", now, version)
	}
	if p := s.pause("bob", time.Hour); !p.Since.After(first.Since) || p.By != "bob" {
		s.Errorf("the next pause is %+v, after %+v; want one that began later", p, first)
	}
}

func pauseInvalid(s *suite) {
	kept := s.pause("ada", time.Hour)
	version := s.join("n1").Version
	for _, c := range []struct {
		reason, by string
		length     time.Duration
	}{
		{"time does not run backwards", "ada", -time.Second},
		{"who needs longer asks again", "ada", store.LongestPause + time.Second},
		{"somebody has to be asked why", "", time.Hour},
	} {
		if _, err := s.sharded().Pause(s.ctx, c.by, c.length); !errors.Is(err, store.ErrInvalid) {
			s.Errorf("%s: a pause by %q for %s: %v, want ErrInvalid", c.reason, c.by, c.length, err)
		}
	}
	if st := s.join("n1"); !samePause(st.Pause, kept) || st.Version != version {
		s.Errorf("after what was refused the pause is %+v, version %d; want %+v, version %d", st.Pause, st.Version, kept, version)
	}
	if longest := s.pause("ada", store.LongestPause); !longest.On() {
		s.Errorf("the longest pause is %+v", longest)
	}
}

func pauseMoves(s *suite) {
	other := s.other()
	here, away := s.sharded().Moves(), other.Moves()
	for _, c := range []struct {
		reason string
		length time.Duration
	}{
		{"a pause", time.Hour},
		{"a longer one", 2 * time.Hour},
		{"its end", 0},
	} {
		drain(here, away)
		if _, err := other.Pause(s.ctx, "ada", c.length); err != nil {
			s.Fatalf("%s: %v", c.reason, err)
		}
		s.moved(here, c.reason)
		s.moved(away, c.reason)
		if st := s.join("n1"); st.Pause.On() != (c.length > 0) {
			s.Errorf("%s was announced, and the next beat brings %+v", c.reason, st.Pause)
		}
	}
}

func pauseTakes(s *suite) {
	s.join("n1")
	s.pause("ada", time.Hour)
	taken := s.take("n1", 3, 4)
	if len(taken) != 2 {
		s.Fatalf("taken %+v, want two shards", taken)
	}
	if err := s.holds(taken[0], "during"); err != nil {
		s.Errorf("a commit during a pause: %v", err)
	}
	s.give(taken...)
	if st := s.join("n1"); !st.Pause.On() || len(st.Shards) != 0 {
		s.Errorf("standing %+v; want the pause, and no shard", st)
	}
}

func pauseRestart(s *suite) {
	p := s.pause("ada", time.Hour)
	s.reopen()
	if read := s.paused(); !samePause(read, p) {
		s.Errorf("after a restart the pause is %+v, want %+v", read, p)
	}
	if st := s.join("n1"); !samePause(st.Pause, p) {
		s.Errorf("after a restart a beat brings %+v, want %+v", st.Pause, p)
	}
	s.pause("", 0)
	s.reopen()
	if read := s.paused(); read.On() {
		s.Errorf("it was ended before the restart, and is %+v", read)
	}
}

func pauseClosed(s *suite) {
	if err := s.s.Close(); err != nil {
		s.Fatal(err)
	}
	sh := s.sharded()
	_, paused := sh.Pause(s.ctx, "ada", time.Hour)
	_, read := sh.Paused(s.ctx)
	for name, err := range map[string]error{"Pause": paused, "Paused": read} {
		if !errors.Is(err, store.ErrClosed) {
			s.Errorf("%s on a closed store: %v, want ErrClosed", name, err)
		}
	}
}
