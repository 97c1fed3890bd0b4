package main

import (
	"strings"
	"time"

	"github.com/setpointhq/setpoint"
)

// PageSpec is what a customer asks for.
type PageSpec struct {
	Title string `json:"title"`
	Text  string `json:"text,omitempty"`
}

// PageStatus is what the customer is told.
type PageStatus struct {
	Bytes int `json:"bytes,omitempty"`
}

// Page is a page of a web site.
type Page = setpoint.Resource[PageSpec, PageStatus]

// The states of a page.
const (
	Writing   setpoint.State = "Writing"
	Published setpoint.State = "Published"
	Removing  setpoint.State = "Removing"
	Removed   setpoint.State = "Removed"
)

// Pages is the kind.
var Pages = setpoint.MustDefine(setpoint.KindOptions[PageSpec, PageStatus]{
	Group: "site.example", Version: "v1", Kind: "Page",
	Lifecycle: setpoint.Lifecycle{
		{State: Writing, Budget: time.Minute, To: setpoint.To(Published, Removing)},
		{State: Published, Healthy: true, Stable: true, To: setpoint.To(Writing, Removing)},
		{State: Removing, Deleting: true, Budget: time.Minute, To: setpoint.To(Removed)},
		{State: Removed, Final: true},
	},
	Validate: func(_, p *Page) error {
		if strings.TrimSpace(p.Spec.Title) == "" {
			return setpoint.Refuse("spec.title", "a page needs a title")
		}
		return nil
	},
})
