package nodesapi

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/api/internal/answer"
	"github.com/setpointhq/setpoint/store"
)

// Where to mount [Handler].
const (
	NodesPath  = "/setpoint/v1/nodes"
	LeasesPath = "/setpoint/v1/leases"
	DoctorPath = "/setpoint/v1/doctor"
)

// Paths are all patterns under which a mux has to lead to [Handler].
var Paths = []string{NodesPath, NodesPath + "/", LeasesPath, DoctorPath, TakeUpPath}

// Serves reports whether a request's path is one of [Handler]'s. These are answered also while the server loads what exists.
func Serves(path string) bool {
	return path == NodesPath || strings.HasPrefix(path, NodesPath+"/") || path == LeasesPath || path == DoctorPath || path == TakeUpPath
}

// maxBody bounds a request.
const maxBody = 64 << 10

// drainSuffix ends the path of a request to drain.
const drainSuffix = "/drain"

// Handler answers for a source.
func Handler(source Source) http.Handler {
	h := &handler{source}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimSuffix(r.URL.Path, "/")
		name, below := strings.CutPrefix(path, NodesPath+"/")
		switch {
		case path == NodesPath:
			h.read(w, r, h.nodes)
		case path == LeasesPath:
			h.read(w, r, h.leases)
		case path == DoctorPath:
			h.read(w, r, h.doctor)
		case path == TakeUpPath && r.Method == http.MethodPost:
			h.pause(w, r)
		case path == TakeUpPath:
			h.read(w, r, h.takeUp, http.MethodPost)
		case below && strings.HasSuffix(name, drainSuffix) && name != drainSuffix:
			h.drain(w, r, strings.TrimSuffix(name, drainSuffix))
		default:
			answer.Refuse(http.StatusNotFound, "NotFound", "there is nothing at %s; nodes are listed at %s, and drained by POST %s/<name>/drain", path, NodesPath, NodesPath).Send(w)
		}
	})
}

type handler struct{ source Source }

// read answers who reads. Others are told what else there is, besides reading.
func (h *handler) read(w http.ResponseWriter, r *http.Request, look func(*http.Request) any, others ...string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		allowed := strings.Join(append([]string{http.MethodGet, http.MethodHead}, others...), ", ")
		w.Header().Set("Allow", allowed)
		answer.Refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", "%s of %s: want one of %s", r.Method, r.URL.Path, allowed).Send(w)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	answer.Send(w, http.StatusOK, look(r))
}

func (h *handler) nodes(r *http.Request) any {
	roster := h.source.Roster(r.Context())
	out := Nodes{
		Answered: roster.Self.Name, Engine: roster.Info.Engine, Shared: roster.Info.Shared, Unowned: len(roster.unowned()), Standby: roster.Standby,
		TakeUp: roster.takeUp(), At: roster.At.UTC(), Problem: words(roster.Err), Items: []Node{},
	}
	for _, n := range roster.Nodes {
		shown := Node{
			Name: n.Name, ID: n.ID, Version: n.Version, Address: n.Address, Member: n.Member, Self: n.ID == roster.Self.ID, Draining: n.Draining, Shards: n.Shards,
			Left: n.Left(), Replaced: roster.replaced(n), Trouble: n.Trouble, Joined: n.Joined, Seen: n.Seen, Expires: n.Expires,
		}
		if n.Skew != 0 {
			shown.Skew = n.Skew.Round(time.Millisecond).String()
		}
		out.Items = append(out.Items, shown)
	}
	return out
}

// replaced reports whether a later run of the same process is a member.
func (f *Roster) replaced(n store.Node) bool {
	return !n.Member && slices.ContainsFunc(f.Nodes, func(o store.Node) bool {
		return o.Member && process(o.Name) == process(n.Name) && o.Joined.After(n.Joined)
	})
}

func (h *handler) leases(r *http.Request) any {
	roster := h.source.Roster(r.Context())
	others, err := h.source.Leases(r.Context())
	out := Leases{Answered: roster.Self.Name, At: roster.At.UTC(), Items: roster.leases(), Unowned: roster.unowned(), Others: others}
	if others == nil {
		out.Others = []Lease{}
	}
	out.Problem = words(errors.Join(roster.Err, err))
	return out
}

// leases groups the assignments by node, those of nodes that are not known among them.
func (f *Roster) leases() []NodeLeases {
	items := []NodeLeases{}
	at := map[store.NodeID]int{}
	item := func(n store.Node) *NodeLeases {
		i, ok := at[n.ID]
		if !ok {
			i = len(items)
			at[n.ID] = i
			items = append(items, NodeLeases{Node: n.Name, ID: n.ID, Member: n.Member, Shards: []ShardLease{}})
		}
		return &items[i]
	}
	if f.Info.Shared {
		for _, n := range f.Nodes {
			if n.Member || n.Shards > 0 {
				item(n)
			}
		}
	}
	low, high := map[store.NodeID]store.Assignment{}, map[store.NodeID]store.Assignment{}
	for _, a := range f.Assigned {
		node := item(store.Node{ID: a.Node, Name: string(a.Node)})
		node.Shards = append(node.Shards, ShardLease{a.Shard, epoch(a.Epoch), a.Since})
		if first, ok := low[a.Node]; !ok || a.Epoch.Compare(first.Epoch) < 0 {
			low[a.Node], node.Low = a, epoch(a.Epoch)
		}
		if last, ok := high[a.Node]; !ok || a.Epoch.Compare(last.Epoch) > 0 {
			high[a.Node], node.High = a, epoch(a.Epoch)
		}
	}
	return items
}

func (h *handler) doctor(r *http.Request) any {
	facts := h.source.Facts(r.Context())
	return Diagnose(&facts)
}

func words(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (h *handler) drain(w http.ResponseWriter, r *http.Request, name string) {
	drain, wrong := readDrain(w, r)
	if wrong != nil {
		wrong.Send(w)
		return
	}
	if err := h.source.Drain(r.Context(), name, drain); err != nil {
		refusedDrain(name, err).Send(w)
		return
	}
	out := Drained{Name: name, Draining: drain}
	if drain {
		out.Warning = h.left(r, name)
	}
	answer.Send(w, http.StatusOK, out)
}

// left says so when nobody takes the shards of the nodes of a name.
func (h *handler) left(r *http.Request, name string) string {
	for _, n := range h.source.Roster(r.Context()).Nodes {
		if n.Member && !n.Draining && n.Name != name {
			return ""
		}
	}
	return "no other node is left to take its shards: no controller runs until one is started or uncordoned"
}

func refusedDrain(name string, err error) *answer.Refusal {
	switch {
	case errors.Is(err, ErrAlone):
		return answer.Refuse(http.StatusConflict, "Conflict", "drain %s: %v, so there is no other to take its work; stop the process, and start another one on the same file", name, err)
	case errors.Is(err, store.ErrNotFound):
		return answer.Refuse(http.StatusNotFound, "NotFound", "%v; GET %s lists those that are known", err, NodesPath)
	case errors.Is(err, store.ErrInvalid):
		return answer.Refuse(http.StatusUnprocessableEntity, "Invalid", "%v", err)
	case errors.Is(err, store.ErrUnavailable):
		return answer.Refuse(http.StatusServiceUnavailable, "ServiceUnavailable", "%v; nothing was changed", err)
	}
	return answer.Refuse(http.StatusInternalServerError, "InternalError", "drain %s: %v; ask again, which does no harm", name, err)
}

// readDrain judges a request and returns what it asks for.
func readDrain(w http.ResponseWriter, r *http.Request) (drain bool, wrong *answer.Refusal) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		return false, answer.Refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", "drain a node with POST")
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return false, answer.Refuse(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "want a body of application/json")
	}
	var body map[string]bool
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	err := decoder.Decode(&body)
	drain, said := body["drain"]
	if err != nil || !said || len(body) != 1 {
		return false, answer.Refuse(http.StatusBadRequest, "BadRequest", `want {"drain": true} or {"drain": false}`)
	}
	return drain, nil
}
