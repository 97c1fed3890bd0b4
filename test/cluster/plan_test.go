package cluster

import (
	"math/rand/v2"
	"time"

	"github.com/setpointhq/setpoint/test/internal/program"
)

// stormPlan is what a run goes through.
type stormPlan struct {
	ttl                       time.Duration
	customers, gateways, jobs int
	pace                      time.Duration // of a customer, from wish to wish
	lasts                     time.Duration
	// kill is the time from one kill to the next, from the first value to the second; the others are the times between the ends of one fault and the beginning of the next of its sort.
	kill                           [2]time.Duration
	freeze, partition, stop, crash time.Duration
	// replicas are the databases, by the replicas that their patrons ask for, from the first value to the second. Into the first observed ones, and the last one, somebody writes.
	replicas [][2]int
	observed int
	patience time.Duration // of a patron, from deed to deed
}

// plan is the short form, or the long one. There most of the twenty databases are one server each: what a node does about a database is much the same for each of its servers, and two processors have to
// carry all of them. Five have replicas, of which some come and go: these are the ones that can be promoted, and be written to by two.
func plan() stormPlan {
	if program.Soak() {
		replicas := make([][2]int, 20)
		copy(replicas, [][2]int{{2, 2}, {1, 3}, {1, 2}, {1, 1}, {0, 1}})
		return stormPlan{
			ttl: 3 * time.Second, customers: 20, gateways: 2000, jobs: 4, pace: time.Second, lasts: 10 * time.Minute,
			kill: [2]time.Duration{5 * time.Second, 20 * time.Second}, freeze: 30 * time.Second, partition: 15 * time.Second, stop: 70 * time.Second, crash: time.Minute,
			replicas: replicas, observed: 4, patience: 30 * time.Second,
		}
	}
	return stormPlan{
		ttl: 2 * time.Second, customers: 4, gateways: 24, jobs: 4, pace: 200 * time.Millisecond, lasts: 12 * time.Second,
		kill: [2]time.Duration{3 * time.Second, 5 * time.Second}, freeze: 5 * time.Second, partition: 3 * time.Second, stop: 8 * time.Second, crash: 6 * time.Second,
		replicas: [][2]int{{2, 2}, {0, 0}}, observed: 1, patience: 4 * time.Second,
	}
}

// poisonedOrders is how many objects the poisoned neighbour of the quiet tenant has.
const poisonedOrders = 20

// patrons are those of the databases.
func (p stormPlan) patrons(e *estate, random *rand.Rand) (all []*patron) {
	for i, replicas := range p.replicas {
		observed := i < p.observed || i == len(p.replicas)-1
		all = append(all, newPatron(e, i, random, replicas[0], replicas[1], observed, p.patience))
	}
	return all
}
