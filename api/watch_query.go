package api

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/setpointhq/setpoint/resource"
)

// watchQuery is what the URL of a watch says.
type watchQuery struct {
	selector
	from      resource.Revision
	initial   bool // begin with what there is
	announce  bool // and say so when that was all
	bookmarks bool
	timeout   time.Duration
}

func (c *call) watchQuery() (w watchQuery, err error) {
	q := c.r.URL.Query()
	if w.selector, err = c.selector(); err != nil {
		return w, err
	}
	// A client of server-sent events that has lost its connection says with which event it was.
	text := q.Get("resourceVersion")
	if last := c.r.Header.Get("Last-Event-ID"); last != "" && wantsEvents(c.r) {
		text = last
	}
	if w.from, err = revisionParameter(text); err != nil {
		return w, err
	}
	flag := func(name string) bool { v := q.Get(name); return v == "true" || v == "1" }
	w.bookmarks = flag("allowWatchBookmarks")
	w.initial = w.from == 0
	var wrong field.ErrorList
	match := q.Get("resourceVersionMatch")
	if sent := q.Get("sendInitialEvents"); sent != "" {
		if match != string(metav1.ResourceVersionMatchNotOlderThan) {
			wrong = append(wrong, field.Forbidden(field.NewPath("resourceVersionMatch"), "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
		}
		w.initial = flag("sendInitialEvents")
		w.announce = w.initial && w.bookmarks
	} else if match != "" {
		wrong = append(wrong, field.Forbidden(field.NewPath("resourceVersionMatch"), "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
	}
	w.timeout = c.h.WatchTimeout + rand.N(c.h.WatchTimeout/2+1)
	if text := q.Get("timeoutSeconds"); text != "" {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return w, apierrors.NewBadRequest(fmt.Sprintf("timeoutSeconds: want a number from 0, not %q", text))
		}
		if n > 0 {
			w.timeout = time.Duration(n) * time.Second
		}
	}
	return w, invalidOptions("ListOptions", wrong)
}
