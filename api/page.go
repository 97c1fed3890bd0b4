package api

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"sort"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/setpointhq/setpoint/resource"
)

// page is the part of a list that is asked for.
type page struct {
	limit int
	// notOlder is the revision that the list must have at least, exact the one that it must be of; 0 when neither is asked for.
	notOlder, exact resource.Revision
	// from is where to go on, nil for the beginning.
	from *token
}

// token says where to go on with a list, and of which cut. At is 0 for "of whatever is now".
type token struct {
	At        resource.Revision  `json:"rv"`
	Namespace resource.Namespace `json:"ns,omitempty"`
	Name      resource.Name      `json:"start"`
}

func (t token) String() string {
	text, err := json.Marshal(t)
	if err != nil {
		panic("api: encode a token: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func parseToken(text string) (*token, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	t := &token{}
	if err == nil {
		err = json.Unmarshal(raw, t)
	}
	if err != nil || t.Name == "" {
		return nil, apierrors.NewBadRequest("continue key is not valid: it must be one that this server has returned")
	}
	return t, nil
}

// pageQuery reads and judges the parameters of a list.
func (c *call) pageQuery() (page, error) {
	q := c.r.URL.Query()
	var p page
	var wrong field.ErrorList
	if text := q.Get("limit"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return p, apierrors.NewBadRequest(fmt.Sprintf("limit: want a number from 0, not %q", text))
		}
		p.limit = int(min(n, 1<<30))
	}
	at, err := revisionParameter(q.Get("resourceVersion"))
	if err != nil {
		return p, err
	}
	match := q.Get("resourceVersionMatch")
	judgeMatch(q, match, &wrong)
	if err := invalidOptions("ListOptions", wrong); err != nil {
		return p, err
	}
	if text := q.Get("continue"); text != "" {
		if at != 0 {
			return p, apierrors.NewBadRequest("specifying resource version is not allowed when using continue")
		}
		p.from, err = parseToken(text)
		return p, err
	}
	p.notOlder = at
	if match == string(metav1.ResourceVersionMatchExact) {
		p.exact = at
	}
	return p, nil
}

func judgeMatch(q url.Values, match string, wrong *field.ErrorList) {
	if match == "" {
		return
	}
	path := field.NewPath("resourceVersionMatch")
	if q.Get("resourceVersion") == "" {
		*wrong = append(*wrong, field.Forbidden(path, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
	}
	if q.Get("continue") != "" {
		*wrong = append(*wrong, field.Forbidden(path, "resourceVersionMatch is forbidden when continue is provided"))
	}
	switch metav1.ResourceVersionMatch(match) {
	case metav1.ResourceVersionMatchNotOlderThan:
	case metav1.ResourceVersionMatchExact:
		if q.Get("resourceVersion") == "0" {
			*wrong = append(*wrong, field.Forbidden(path, `resourceVersionMatch "Exact" is forbidden for resourceVersion "0"`))
		}
	default:
		*wrong = append(*wrong, field.NotSupported(path, match, []string{"Exact", "NotOlderThan", ""}))
	}
}

// pick takes the page's objects out of a cut, and reports whether others follow.
func (p page) pick(cut cut, s *selector) (objects []*resource.Object, more bool) {
	all := cut.objects
	if p.from != nil {
		after := resource.Key{Namespace: p.from.Namespace, Name: p.from.Name}
		all = all[sort.Search(len(all), func(i int) bool {
			have := resource.Key{Namespace: all[i].Namespace, Name: all[i].Name}
			return have.Compare(after) > 0
		}):]
	}
	for _, o := range all {
		if !s.matches(o) {
			continue
		}
		if p.limit > 0 && len(objects) == p.limit {
			return objects, true
		}
		objects = append(objects, o)
	}
	return objects, false
}

// cut is one moment of a kind, in one namespace or in all.
type cut struct {
	at      resource.Revision
	objects []*resource.Object
}

// cuts keeps the cuts that clients have been given a part of, so that the other parts are of the same moment. It
// keeps the newest few, for a few minutes: objects are shared with the plane, so that a cut costs what has changed since, and a pointer for
// each.
type cuts struct {
	mu   sync.Mutex
	kept []keptCut
}

type keptCut struct {
	until     time.Time
	kind      resource.KindID
	namespace resource.Namespace
	cut
}

// Bounds of what is kept: cuts, objects in all of them but the newest, and how long.
const (
	maxCuts    = 64
	maxObjects = 2_000_000
	cutAge     = 5 * time.Minute
)

// find returns the cut that a page is of.
func (k *cuts) find(c *call, p page) (cut, error) {
	at := p.exact
	if p.from != nil {
		at = p.from.At
	}
	if at != 0 {
		if have, ok := k.get(c, at); ok {
			return have, nil
		}
	}
	objects, now := c.h.Plane.List(c.target.def.ID(), c.target.namespace)
	have := cut{at: now, objects: objects}
	switch {
	case at == 0 || at == now:
		return have, nil
	case p.from == nil:
		return cut{}, apierrors.NewResourceExpired(fmt.Sprintf("The resourceVersion for the provided list is too old: %d", at))
	}
	e := apierrors.NewResourceExpired("The provided continue parameter is too old to display a consistent list result. You can start a new list " +
		"without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the " +
		"provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was " +
		"returned and now may show up in the list.")
	e.ErrStatus.ListMeta.Continue = token{Namespace: p.from.Namespace, Name: p.from.Name}.String()
	return cut{}, e
}

func (k *cuts) get(c *call, at resource.Revision) (cut, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, have := range k.kept {
		if have.at == at && have.kind == c.target.def.ID() && have.namespace == c.target.namespace {
			return have.cut, true
		}
	}
	return cut{}, false
}

// keep remembers a cut, and returns the token to go on with behind an object.
func (k *cuts) keep(c *call, have cut, last *resource.Object) string {
	next := token{At: have.at, Namespace: last.Namespace, Name: last.Name}.String()
	if _, known := k.get(c, have.at); known {
		return next
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	kept, objects := []keptCut{{now.Add(cutAge), c.target.def.ID(), c.target.namespace, have}}, 0
	for _, old := range k.kept { // newest first
		objects += len(old.objects)
		if len(kept) < maxCuts && objects <= maxObjects && old.until.After(now) {
			kept = append(kept, old)
		}
	}
	k.kept = kept
	return next
}
