package cluster

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/test/internal/verdict"
)

// sighting is a line of a node's evidence: its first commit under an epoch of a shard, or one that was refused.
type sighting struct {
	At    int64
	Node  string
	Scope string
	Epoch string
	What  string
	Error string
}

// refusal is a call that a subsystem has refused because its epoch is over.
type refusal struct {
	At      time.Time
	Scope   string
	Epoch   string
	Key     string
	Token   string
	Message string
}

// readLines decodes a file of JSON lines. A last line that a kill has torn is left out.
func readLines[T any](path string) (lines []T, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	reader := bufio.NewScanner(file)
	reader.Buffer(nil, 8<<20)
	for reader.Scan() {
		var line T
		if json.Unmarshal(reader.Bytes(), &line) != nil {
			break
		}
		lines = append(lines, line)
	}
	return lines, errors.Join(reader.Err(), file.Close())
}

// sightings are those of all nodes, in the order of time.
func (w *town) sightings() (all []sighting) {
	w.Helper()
	w.mu.Lock()
	nodes := slices.Clone(w.nodes)
	w.mu.Unlock()
	for _, n := range nodes {
		all = append(all, n.sightings()...)
	}
	slices.SortFunc(all, func(a, b sighting) int { return int(a.At - b.At) })
	return all
}

func (n *node) sightings() []sighting {
	n.town.Helper()
	lines, err := readLines[sighting](filepath.Join(n.town.dir, n.name+".evidence"))
	if err != nil {
		n.town.Fatal(err)
	}
	return lines
}

// refusals are the calls under former epochs that a subsystem has refused.
func (w *town) refusals(name string) []refusal {
	w.Helper()
	lines, err := readLines[refusal](filepath.Join(w.dir, name, "refusals"))
	if err != nil {
		w.Fatal(err)
	}
	return lines
}

// ledger is what a subsystem says it has done.
func (w *town) ledger(name string) []subsystem.LedgerLine {
	w.Helper()
	lines, err := subsystem.ReadLedger(filepath.Join(w.dir, name, subsystem.LedgerFile))
	if err != nil {
		w.Fatal(err)
	}
	return lines
}

// effects counts, by key, what a subsystem has done about it.
func (w *town) effects(name string) map[string]int {
	w.Helper()
	count := map[string]int{}
	for _, l := range w.ledger(name) {
		count[l.Key]++
	}
	return count
}

// ledgers are the folders of all that keep one.
func (w *town) ledgers() []string {
	folders := slices.Clone(names)
	if w.at[agents[0]] != "" {
		folders = append(folders, agents[0]+"/kit", agents[1])
	}
	return folders
}

// once checks that no token had two effects in any subsystem (I2).
func (w *town) once() (effects int) {
	w.Helper()
	for _, name := range w.ledgers() {
		for token, n := range subsystem.EffectsPerToken(w.ledger(name)) {
			effects += n
			if n > 1 {
				w.Errorf("%s: token %s had %d effects", name, token, n)
			}
		}
	}
	return effects
}

// rising checks that in no subsystem, and in no node's commits, an epoch of a scope came after a higher one (I4). What the agents of the databases are asked to do takes its time, and a line is written at the
// end: what was begun under an epoch may end after what another asked for under the next. There it is so for each key.
func (w *town) rising() {
	w.Helper()
	for _, name := range w.ledgers() {
		highest := map[string]subsystem.LedgerLine{}
		for _, l := range w.ledger(name) {
			scope := l.Scope
			if scope == "" {
				w.Errorf("%s: line %d names no scope", name, l.Seq)
			}
			if !slices.Contains(names, name) {
				scope += " " + l.Key
			}
			if before := highest[scope]; l.Epoch.Compare(before.Epoch) < 0 {
				w.Errorf("%s: %+v came after %+v", name, l, before)
			} else {
				highest[scope] = l
			}
		}
	}
	committed := map[string]string{}
	for _, s := range w.sightings() {
		if s.What != "commit" {
			continue
		}
		at := s.Scope + " " + s.Epoch
		if who := committed[at]; who != "" && who != s.Node {
			w.Errorf("%s and %s have both committed under epoch %s of %s", who, s.Node, s.Epoch, s.Scope)
		}
		committed[at] = s.Node
	}
}

// legal checks the history (I3), and that the feed has no gap.
func (w *town) legal() {
	w.Helper()
	w.database().Legal()
}

// owned checks that every shard is a live member's (I10).
func (w *town) owned() {
	w.Helper()
	w.database().Owned()
}

// rest waits until nothing is left to do, and checks that nothing is written any more (I5) while every node beats four times.
func (w *town) rest() {
	w.Helper()
	w.database().Rest(w.diagnosis)
}

// database is what is asked beside the nodes.
func (w *town) database() verdict.Database { return verdict.Database{T: w.T, URL: w.store} }

// lastLines are the last lines of a text that contain a word.
func lastLines(text, word string, most int) string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			found = append(found, strings.TrimRight(line, "\n"))
		}
	}
	return strings.Join(found[max(0, len(found)-most):], "\n")
}
