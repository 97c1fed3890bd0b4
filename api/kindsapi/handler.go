package kindsapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// Path is where to mount [Handler]: it serves everything below, and the path itself without the last slash.
const Path = "/setpoint/v1/kinds/"

// Kind is a kind as it is described.
type Kind struct {
	Group       string         `json:"group"`
	Version     string         `json:"version"`
	Kind        string         `json:"kind"`
	Plural      string         `json:"plural"`
	Scope       resource.Scope `json:"scope"`
	ShortNames  []string       `json:"shortNames,omitempty"`
	Description string         `json:"description,omitempty"`
	Lifecycle   *Lifecycle     `json:"lifecycle,omitempty"`
	Decisions   *Decisions     `json:"decisions,omitempty"`
	Columns     []Column       `json:"columns,omitempty"`
}

// Lifecycle is a state machine: how many states it has, its drawings, and its rules.
type Lifecycle struct {
	States  int    `json:"states"`
	Text    string `json:"text"`
	Mermaid string `json:"mermaid"`
	DOT     string `json:"dot"`
	Rules   []Rule `json:"rules"`
}

// Rule is what holds in one state. The first is the state of a new object. Budget is how long an object may stay, as Go writes durations; "" for ever.
type Rule struct {
	State    lifecycle.State      `json:"state"`
	Parent   lifecycle.State      `json:"parent,omitempty"`
	Healthy  bool                 `json:"healthy,omitempty"`
	Stable   bool                 `json:"stable,omitempty"`
	Final    bool                 `json:"final,omitempty"`
	Deleting bool                 `json:"deleting,omitempty"`
	Budget   string               `json:"budget,omitempty"`
	Late     lifecycle.SignalName `json:"late,omitempty"`
	To       []lifecycle.State    `json:"to,omitempty"`
}

// Decisions is a decision table, as data and drawn.
type Decisions struct {
	decide.Table
	Text string `json:"text"`
}

// Column is a column of the kind's tables. Path is "" for one that is computed.
type Column struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Path        string `json:"path,omitempty"`
	Description string `json:"description,omitempty"`
	Priority    int    `json:"priority,omitempty"`
}

// Describe makes the description of a kind.
func Describe(d *resource.Definition) Kind {
	k := Kind{
		Group: d.Group, Version: d.Version, Kind: d.Kind, Plural: d.Plural, Scope: d.Scope, ShortNames: d.ShortNames, Description: d.Description,
	}
	if k.Scope == "" {
		k.Scope = resource.Namespaced
	}
	if len(d.Lifecycle) > 0 {
		k.Lifecycle = &Lifecycle{
			States: len(d.Lifecycle), Text: lifecycle.Text(d.Lifecycle),
			Mermaid: lifecycle.Mermaid(d.Lifecycle), DOT: lifecycle.DOT(d.Lifecycle), Rules: rules(d.Lifecycle),
		}
	}
	if text := decide.Text(d.Decisions); text != "" {
		k.Decisions = &Decisions{Table: d.Decisions, Text: text}
	}
	for _, c := range d.Columns {
		if c.Type == "" {
			c.Type = "string"
		}
		k.Columns = append(k.Columns, Column{Name: c.Name, Type: c.Type, Path: c.Path, Description: c.Description, Priority: c.Priority})
	}
	return k
}

func rules(t lifecycle.Table) (rules []Rule) {
	for _, r := range t {
		budget := ""
		if r.Budget > 0 {
			budget = r.Budget.String()
		}
		rules = append(rules, Rule{
			State: r.State, Parent: r.Parent, Healthy: r.Healthy, Stable: r.Stable, Final: r.Final, Deleting: r.Deleting, Budget: budget, Late: r.Late, To: r.To,
		})
	}
	return rules
}

// Handler describes the kinds of a registry.
func Handler(registry *resource.Registry) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			fail(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "kinds can only be read here; a kind is defined by the program, or as a resource")
			return
		}
		name := strings.Trim(strings.TrimPrefix(r.URL.Path, strings.TrimSuffix(Path, "/")), "/")
		if name == "" {
			answer(w, r, struct {
				Items []Kind `json:"items"`
			}{all(registry)})
			return
		}
		plural, group, _ := strings.Cut(name, ".")
		for _, d := range registry.List() {
			if d.Plural == plural && d.Group == group {
				answer(w, r, Describe(d))
				return
			}
		}
		fail(w, http.StatusNotFound, "NotFound", "there is no kind "+name+"; want <plural>.<group>, one of those that GET "+strings.TrimSuffix(Path, "/")+" lists")
	})
}

func all(registry *resource.Registry) []Kind {
	kinds := []Kind{}
	for _, d := range registry.List() {
		kinds = append(kinds, Describe(d))
	}
	return kinds
}

func answer(w http.ResponseWriter, r *http.Request, v any) {
	body := encode(v)
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache, private")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	send(w, http.StatusOK, body)
}

// status is an error in the form of the dialect.
type status struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Status     string `json:"status"`
	Message    string `json:"message"`
	Reason     string `json:"reason"`
	Code       int    `json:"code"`
}

func fail(w http.ResponseWriter, code int, reason, message string) {
	send(w, code, encode(status{Kind: "Status", APIVersion: "v1", Status: "Failure", Message: message, Reason: reason, Code: code}))
}

// encode is for values that always encode: texts and numbers.
func encode(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic("kindsapi: " + err.Error())
	}
	return append(body, '\n')
}

func send(w http.ResponseWriter, code int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	if _, err := w.Write(body); err != nil {
		panic(http.ErrAbortHandler) // the client is gone: end the connection
	}
}
