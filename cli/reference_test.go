package cli_test

import (
	"context"
	"flag"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/cli"
)

var update = flag.Bool("update", false, "write the reference anew")

const referenceFile = "../docs/reference/cli.md"

// TestReference keeps the reference of the command line true.
func TestReference(t *testing.T) {
	want := cli.Reference(cli.New(cli.Program{}))
	if *update {
		if err := os.WriteFile(referenceFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("%s is not what the command tree says; run: go test ./cli -run Reference -update", referenceFile)
	}
}

// TestEveryCommandIsDocumented: a command without words is one that nobody can use.
func TestEveryCommandIsDocumented(t *testing.T) {
	commands := map[string]bool{}
	for _, c := range cli.New(cli.Program{}).Commands() {
		commands[c.Name()] = true
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: want a short description without a full stop, got %q", c.Name(), c.Short)
		}
		if c.RunE == nil && c.Run == nil && !c.HasSubCommands() {
			t.Errorf("%s does nothing", c.Name())
		}
	}
	for _, name := range strings.Fields("dev serve get describe apply delete watch wait history availability why signal kinds nodes leases drain uncordon doctor health migrate backup restore version") {
		if !commands[name] {
			t.Errorf("there is no command %s", name)
		}
	}
}

// TestCompletionScripts: the tree can be completed in every shell that cobra knows.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		var out strings.Builder
		code := cli.Run(context.Background(), cli.Program{Stdout: &out, Stderr: io.Discard}, []string{"completion", shell})
		if code != cli.ExitOK || !strings.Contains(out.String(), "setpoint") {
			t.Errorf("%s: exit code %d, %d bytes", shell, code, out.Len())
		}
	}
}
