package api_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/resource"
)

// kubectl runs a stock kubectl against a server, as a person would.
type kubectl struct {
	t       testing.TB
	program string
	server  string
	home    string
}

func (s *served) kubectl(t testing.TB) *kubectl {
	t.Helper()
	return &kubectl{t: t, program: testkit.Kubectl(t), server: s.URL, home: t.TempDir()}
}

func (k *kubectl) command(input string, args ...string) *exec.Cmd {
	c := exec.Command(k.program, append([]string{"--server", k.server, "--cache-dir", filepath.Join(k.home, "cache")}, args...)...)
	c.Env = append(os.Environ(), "HOME="+k.home, "KUBECONFIG="+filepath.Join(k.home, "none"))
	c.Stdin = strings.NewReader(input)
	return c
}

// do runs a command that must succeed, and returns what it says.
func (k *kubectl) do(input string, args ...string) string {
	k.t.Helper()
	out, err := k.command(input, args...).CombinedOutput()
	if err != nil {
		k.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestKubectlVerbs tells the story of one object, as a person at a terminal lives it.
func TestKubectlVerbs(t *testing.T) {
	s := serve(t)
	k := s.kubectl(t)
	const blue = `{"apiVersion":"edge.example/v1","kind":"Gateway","metadata":{"name":"blue"},"spec":{"host":"%s"}}`
	steps := []struct {
		reason string
		input  string
		args   string
		want   []string // parts of what it says
		fails  bool
	}{
		{"discovery names the kinds", "", "api-resources --api-group=edge.example", []string{"gateways", "gw", "edge.example/v1", "true", "Gateway"}, false},
		{"the version is served", "", "version", []string{"+setpoint.1.2.3"}, false},
		{"explain reads OpenAPI v3", "", "explain gateway.spec", []string{"host\t<string> -required-", "where it is reached"}, false},
		{"explain follows the reference to metadata", "", "explain gateway.metadata.labels", []string{"labels"}, false},
		{"an empty list is no error", "", "get gateways", []string{"No resources found in default namespace."}, false},
		{"create answers with the object", fmt.Sprintf(blue, "a.example"), "create -f -", []string{"gateway.edge.example/blue created"}, false},
		{"creating twice is refused", fmt.Sprintf(blue, "a.example"), "create -f -", []string{`gateways.edge.example "blue" already exists`}, true},
		{"a namespace needs not be created", fmt.Sprintf(blue, "b.example"), "create -n tenant -f -", []string{"created"}, false},
		{"an unknown field is refused by the server", strings.Replace(blue, `"host"`, `"hots":1,"host"`, 1), "create -n other -f -", []string{`strict decoding error: unknown field "spec.hots"`}, true},
		{"a broken rule names the field", strings.Replace(blue, `"host"`, `"size":10,"host"`, 1), "create -n other -f -", []string{`The Gateway "blue" is invalid: spec.size: Invalid value:`}, true},
		{"a table has the kind's columns", "", "get gw", []string{"NAME   HOST        STATE     AGE", "blue   a.example   Pending"}, false},
		{"columns of lower priority are for wide tables", "", "get gw -o wide", []string{"SIZE", "2"}, false},
		{"all namespaces in one table", "", "get gw -A", []string{"NAMESPACE", "tenant", "default"}, false},
		{"namespaces in use are listed", "", "get namespaces", []string{"default   Active", "tenant    Active"}, false},
		{"yaml is the object", "", "get gw blue -o yaml", []string{"kind: Gateway", "host: a.example", "state: Pending", `resourceVersion: "`}, false},
		{"json is the object", "", "get gw blue -o json", []string{`"kind": "Gateway"`, `"size": 2`}, false},
		{"jsonpath reads a field", "", "get gw blue -o jsonpath={.spec.host}", []string{"a.example"}, false},
		{"what is not there is not found", "", "get gw red", []string{`gateways.edge.example "red" not found`}, true},
		{"categories group kinds", "", "get all", []string{"blue   a.example"}, false},
		{"describe shows everything", "", "describe gw blue", []string{"Name:         blue", "Host:  a.example"}, false},
		{"label writes a merge patch", "", "label gw blue color=blue", []string{"labeled"}, false},
		{"labels select", "", "get gw -A -l color=blue -o name", []string{"gateway.edge.example/blue"}, false},
		{"annotate writes a merge patch", "", "annotate gw blue note=yes", []string{"annotated"}, false},
		{"field selectors select", "", "get gw -A --field-selector=metadata.name=blue,metadata.namespace=tenant -o jsonpath={.items[*].metadata.namespace}", []string{"tenant"}, false},
		{"a field that is not served is refused", "", "get gw --field-selector=spec.host=x", []string{"field label not supported: spec.host"}, true},
		{"merge patch", "", `patch gw blue --type=merge -p {"spec":{"host":"c.example"}}`, []string{"patched"}, false},
		{"the same patch again changes nothing", "", `patch gw blue --type=merge -p {"spec":{"host":"c.example"}}`, []string{"patched (no change)"}, false},
		{"json patch", "", `patch gw blue --type=json -p [{"op":"replace","path":"/spec/size","value":3}]`, []string{"patched"}, false},
		{"a patch cannot rename", "", `patch gw blue --type=merge -p {"metadata":{"name":"red"}}`, []string{`metadata.name: Invalid value: "red": field is immutable`}, true},
		{"strategic merge is for built-in kinds", "", `patch gw blue --type=strategic -p {"spec":{"host":"x"}}`, []string{"unknown format"}, true},
		{"server-side apply says what it is not", fmt.Sprintf(blue, "x"), "apply --server-side -f -", []string{"server-side apply is not supported"}, true},
		{"apply makes what is missing", strings.Replace(fmt.Sprintf(blue, "g.example"), "blue", "green", 1), "apply -f -", []string{"green created"}, false},
		{"apply again changes nothing", strings.Replace(fmt.Sprintf(blue, "g.example"), "blue", "green", 1), "apply -f -", []string{"green unchanged"}, false},
		{"apply changes what is different", strings.Replace(fmt.Sprintf(blue, "h.example"), "blue", "green", 1), "apply -f -", []string{"green configured"}, false},
		{"diff shows what apply would do", strings.Replace(fmt.Sprintf(blue, "i.example"), "blue", "green", 1), "diff -f -", []string{"-  host: h.example", "+  host: i.example"}, true},
		{"a dry run changes nothing", strings.Replace(fmt.Sprintf(blue, "j.example"), "blue", "green", 1), "apply --dry-run=server -f -", []string{"configured (server dry run)"}, false},
		{"and nothing was changed", "", "get gw green -o jsonpath={.spec.host}", []string{"h.example"}, false},
		{"replace without a version", strings.Replace(fmt.Sprintf(blue, "k.example"), "blue", "green", 1), "replace -f -", []string{"green replaced"}, false},
		{"replace from an old copy is a conflict", strings.Replace(fmt.Sprintf(blue, "l.example"), `"name":"blue"`, `"name":"green","resourceVersion":"1"`, 1), "replace -f -", []string{"the object has been modified; please apply your changes to the latest version and try again"}, true},
		{"the status is a subresource", "", `patch gw green --subresource=status --type=merge -p {"status":{"address":"10.0.0.1","conditions":[{"type":"Ready","status":"True","reason":"Fine","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`, []string{"patched"}, false},
		{"wait reads the status", "", "wait gw/green --for=jsonpath={.status.address}=10.0.0.1 --timeout=20s", []string{"condition met"}, false},
		{"wait reads conditions", "", "wait gw/green --for=condition=Ready --timeout=20s", []string{"condition met"}, false},
		{"the main resource does not write the status", "", `patch gw green --type=merge -p {"status":{"address":"10.9.9.9"}}`, []string{"patched (no change)"}, false},
		{"a cluster-scoped kind", `{"apiVersion":"dns.example/v1beta1","kind":"Zone","metadata":{"name":"z"},"spec":{"domain":"z.example"}}`, "create -f -", []string{"zone.dns.example/z created"}, false},
		{"its table has a column of its own accord", "", "get zones", []string{"NAME   READY", "z"}, false},
		{"raw requests reach the history", "", "get --raw /apis/edge.example/v1/namespaces/default/gateways/green/history", []string{`"type":"Created"`}, false},
		{"raw requests reach the explanation", "", "get --raw /apis/edge.example/v1/namespaces/default/gateways/green/why", []string{`"name":"green"},"Ready":false`}, false},
		{"delete waits for the end", "", "delete gw green", []string{`gateway.edge.example "green" deleted`}, false},
		{"deleting what is gone is not found", "", "delete gw green", []string{"not found"}, true},
		{"delete by label", "", "delete gw -A -l color=blue", []string{`"blue" deleted`}, false},
		{"delete all", "", "delete gw -n tenant --all", []string{`"blue" deleted`}, false},
		{"nothing is left", "", "get gw -A", []string{"No resources found"}, false},
	}
	for _, step := range steps {
		out, err := k.command(step.input, strings.Fields(step.args)...).CombinedOutput()
		if (err != nil) != step.fails {
			t.Errorf("kubectl %s: %s: err = %v\n%s", step.args, step.reason, err, out)
		}
		for _, want := range step.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("kubectl %s: %s: missing %q in\n%s", step.args, step.reason, want, out)
			}
		}
	}
}

// TestKubectlWatch: "get -w" shows a table that grows with every change, headed once.
func TestKubectlWatch(t *testing.T) {
	s := serve(t)
	k := s.kubectl(t)
	k.do(gateway("one", "a.example"), "create", "-f", "-")
	watch := k.command("", "get", "gw", "-w")
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	expect := func(words ...string) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the watch ended before it showed %q: %v", words, lines.Err())
		}
		for _, w := range words {
			if !strings.Contains(lines.Text(), w) {
				t.Errorf("line %q does not show %q", lines.Text(), w)
			}
		}
	}
	expect("NAME", "HOST", "STATE", "AGE")
	expect("one", "a.example", "Pending")
	k.do(gateway("two", "b.example"), "create", "-f", "-")
	expect("two", "b.example")
	k.do("", "patch", "gw", "two", "--type=merge", "-p", `{"spec":{"host":"c.example"}}`)
	expect("two", "c.example")
	k.do("", "delete", "gw", "two")
	expect("two", "c.example")
	s.handler.Drain() // ends the watch, and kubectl with it, if it is not killed before
	if err := watch.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	if err := watch.Wait(); err != nil && watch.ProcessState.Exited() {
		t.Errorf("kubectl ended by itself, with %v", err)
	}
}

// TestKubectlWaitForDeletion: while a finalizer holds the object, delete and wait wait; then they end.
func TestKubectlWaitForDeletion(t *testing.T) {
	s := serve(t)
	k := s.kubectl(t)
	held := strings.Replace(gateway("held", "a.example"), `"name"`, `"finalizers":["example.com/hold"],"name"`, 1)
	k.do(held, "create", "-f", "-")
	deleting := k.command("", "delete", "gw", "held")
	var said log
	deleting.Stdout, deleting.Stderr = &said, &said
	if err := deleting.Start(); err != nil {
		t.Fatal(err)
	}
	key := resource.Key{Kind: "Gateway.edge.example", Namespace: "default", Name: "held"}
	testkit.Wait(t, "the deletion is asked for", func() bool {
		o, ok := s.Get(key)
		return ok && o.Deleting() && o.State == "Leaving"
	})
	waiting := k.command("", "wait", "gw/held", "--for=delete", "--timeout=25s")
	waiting.Stdout, waiting.Stderr = &said, &said
	if err := waiting.Start(); err != nil {
		t.Fatal(err)
	}
	k.do("", "patch", "gw", "held", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
	for _, c := range []*exec.Cmd{deleting, waiting} {
		if err := c.Wait(); err != nil {
			t.Errorf("kubectl %v: %v\n%s", c.Args[1:], err, said.String())
		}
	}
	if _, ok := s.Get(key); ok {
		t.Error("the object is still there")
	}
}

// TestKubectlPages: a table of more than 500 rows is read in pages of one moment.
func TestKubectlPages(t *testing.T) {
	s := serve(t)
	for i := range 1203 {
		s.make(t, resource.Name(fmt.Sprintf("g%04d", i)), "default", nil)
	}
	out := s.kubectl(t).do("", "get", "gw", "-o", "name")
	if got := strings.Count(out, "\n"); got != 1203 {
		t.Errorf("kubectl shows %d objects, want 1203", got)
	}
}
