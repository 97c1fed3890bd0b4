package main

import "github.com/setpointhq/setpoint"

// files is the way to the subsystem: a directory of a web server.
var files = setpoint.Endpoint[File, Written]{Adapter: "files"}

// drivePage compares a page with its file, and says what should be.
func drivePage(t *setpoint.Turn, p *Page) setpoint.Outcome {
	file := files.Ensure(t, t.NaturalKey()+".html", &File{
		Text: "<h1>" + p.Spec.Title + "</h1>\n<p>" + p.Spec.Text + "</p>\n",
	})
	switch {
	case p.Deleting():
	case file.Done():
		p.Status.Bytes = file.Result.Bytes
		t.Transition(Published, "Written")
	default:
		t.Transition(Writing, "NotWritten")
	}
	return file.Outcome()
}

// parts are the service: its kinds and its controllers.
func parts() ([]*setpoint.Definition, []setpoint.Controller) {
	return []*setpoint.Definition{Pages.Definition}, []setpoint.Controller{Pages.Driver("page", drivePage)}
}
