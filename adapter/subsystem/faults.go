package subsystem

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Faults says how often a server misbehaves. Every field is a probability per call, from 0 (never, the zero value) to 1.
type Faults struct {
	// Seed makes the choices replayable. 0 draws one.
	Seed uint64 `json:"seed,omitempty"`
	// LoseRequest drops the connection before anything is done.
	LoseRequest float64 `json:"loseRequest,omitempty"`
	// Refuse answers "refused, Retry" and does nothing.
	Refuse float64 `json:"refuse,omitempty"`
	// Halfway makes a part of the effect and answers "failed".
	Halfway float64 `json:"halfway,omitempty"`
	// LoseAnswer does it, then drops the connection.
	LoseAnswer float64 `json:"loseAnswer,omitempty"`
	// Slow does it after DelayMillis, also when the caller has gone away; later calls of the same key wait behind it.
	Slow        float64 `json:"slow,omitempty"`
	DelayMillis int64   `json:"delayMillis,omitempty"`
	// Forget erases the whole memory, unless that is blank.
	Forget float64 `json:"forget,omitempty"`
	// ForgetNow erases the whole memory once, at the moment the faults are set.
	ForgetNow bool `json:"forgetNow,omitempty"`
}

// Validate reports the first field that is no probability.
func (f Faults) Validate() error {
	for _, p := range []struct {
		name  string
		value float64
	}{
		{"loseRequest", f.LoseRequest}, {"refuse", f.Refuse}, {"halfway", f.Halfway},
		{"loseAnswer", f.LoseAnswer}, {"slow", f.Slow}, {"forget", f.Forget},
	} {
		if !(p.value >= 0 && p.value <= 1) {
			return fmt.Errorf("faults: %s is %v: want a probability from 0 to 1", p.name, p.value)
		}
	}
	if f.DelayMillis < 0 {
		return fmt.Errorf("faults: delayMillis is %d: want 0 or more", f.DelayMillis)
	}
	return nil
}

// Mishap is what [FaultPlan.Draw] chose for one call.
type Mishap struct {
	LoseRequest, Refuse, Halfway, LoseAnswer, Forget bool
	// Delay is 0 unless the call is to be slow.
	Delay time.Duration
}

// FaultPlan draws mishaps. Its zero value never draws one; it may be used concurrently.
type FaultPlan struct {
	mu     sync.Mutex
	faults Faults
	random *rand.Rand
}

// Set replaces the probabilities and starts the sequence of choices again.
func (p *FaultPlan) Set(f Faults) error {
	if err := f.Validate(); err != nil {
		return err
	}
	seed := f.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults, p.random = f, rand.New(rand.NewPCG(seed, 0x5e7901))
	return nil
}

// Draw chooses the mishaps of one call. It draws the same number of values whatever the probabilities are, so that
// changing one of them leaves the others' choices alone.
func (p *FaultPlan) Draw() Mishap {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.random == nil {
		return Mishap{}
	}
	hit := func(probability float64) bool { return p.random.Float64() < probability }
	m := Mishap{
		LoseRequest: hit(p.faults.LoseRequest), Refuse: hit(p.faults.Refuse), Halfway: hit(p.faults.Halfway),
		LoseAnswer: hit(p.faults.LoseAnswer), Forget: hit(p.faults.Forget),
	}
	if hit(p.faults.Slow) {
		m.Delay = time.Duration(p.faults.DelayMillis) * time.Millisecond
	}
	return m
}
