package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// errorDoc is one exported error: a sentinel, or a type with a method Error.
type errorDoc struct{ name, meaning, remedy string }

// remedies say what to do about errors whose own comments only say what they mean.
var remedies = map[string]string{
	"setpoint.ErrExists":        "Update it instead, or choose another name.",
	"setpoint.ErrPrecondition":  "Read the object, and decide again.",
	"store.ErrFenced":           "Stop: another process has taken over. The plane reports itself not alive, so that it is restarted.",
	"store.ErrTooLarge":         "Split it, or keep the large part elsewhere and refer to it.",
	"store.ErrClosed":           "The program is stopping, or uses a store that it has closed.",
	"store.ErrNotFound":         "Create it, or take it as deleted.",
	"store.ErrHeld":             "Wait until it is released or has expired.",
	"sqlite.ErrInUse":           "Stop the other process (the message has its number), or choose another file.",
	"sqlite.ErrNewerSchema":     "Run the newer program; a newer file is never changed by an older one.",
	"sqlite.ErrDamaged":         "Restore a backup.",
	"postgres.ErrSchema":        "Run `setpoint migrate up`, or the newer program: the message says which.",
	"postgres.ErrPrivilege":     "Grant what the message names, or log in as a user who has it.",
	"resource.ErrUnknownKind":   "Register it in Config.Kinds, or correct the spelling: the message names the nearest.",
	"resource.ErrDuplicateKind": "Register each kind once.",
	"view.ErrMalformed":         "A bug of the engine: report it.",
	"view.ErrNotLoaded":         "Wait for Plane.Loaded.",
	"view.ErrRestored":          "Read again from the start.",
	"view.ErrStopped":           "Run the plane; it has not begun, or has ended.",
	"client.ErrNotFound":        "Create it, or take it as deleted.",
	"client.ErrExists":          "Update it instead, or choose another name.",
	"client.ErrForbidden":       "Ask with other credentials.",
	"client.ErrTooLarge":        "Split it, or keep the large part elsewhere and refer to it.",
	"client.ErrUnknownKind":     "Register the kind with the server, or correct the spelling.",
	"client.ErrDeleting":        "Wait until it is gone, and create it again.",
	"api.ErrExists":             "Update it instead, or choose another name.",
	"api.ErrSignal":             "Raise one that the kind knows, or wait until what it is forbidden beside has been served.",
	"setpoint.ErrSignal":        "Raise one that the kind knows, or wait until what it is forbidden beside has been served.",
	"subsystem.ErrInUse":        "Give each server a folder of its own.",
	"subsystem.ErrClosed":       "Start the server again.",
	"subsystem.ErrMemory":       "Ask the server which memory it has, and restore that.",
	"store.CommitError":         "Match the cause with errors.Is; Key, Expected and Actual say what it was about.",
	"resource.Cause":            "Correct the field.",
	"view.OrderError":           "Load the view again.",
	"client.StatusError":        "Match the cause with errors.Is; Causes lists the fields that are wrong.",
	"lifecycle.Problem":         "Correct the table; the message draws it.",
	"decide.Counterexample":     "Correct the table, or the claim.",
	"lease.ErrUntrusted":        "Return, undo what the next holder must not find, and hold the lease anew.",
	"lease.ErrReleased":         "Hold the lease anew.",
	"setpointtest.Refusal":      "It is what the test has asked for.",
	"subsystem.ErrNoAnswer":     "Ask again with the same token.",
}

// TestErrors keeps docs/reference/errors.md true: every exported error of every public package is in it, with what to do.
func TestErrors(t *testing.T) {
	byPackage := map[string][]errorDoc{}
	used := map[string]bool{}
	for dir, files := range publicPackages(t) {
		for _, f := range files {
			for _, e := range errorsOf(f) {
				name := f.Name.Name + "." + e.name
				if r, ok := remedies[name]; ok {
					used[name], e.remedy = true, r
				}
				if e.meaning == "" || e.remedy == "" {
					t.Errorf("%s (%s): want a comment that says what it means, and what to do about it: a second sentence, or an entry in remedies", name, dir)
				}
				byPackage[dir] = append(byPackage[dir], e)
			}
		}
	}
	for name := range remedies {
		if !used[name] {
			t.Errorf("remedies has %s, which is no error any more", name)
		}
	}
	generated(t, "reference/errors.md", renderErrors(byPackage))
}

func renderErrors(byPackage map[string][]errorDoc) string {
	var b strings.Builder
	b.WriteString("# Errors\n\n<!-- Written from the comments in the code: go test ./docs -update. Do not edit. -->\n\n")
	b.WriteString("Match an error with `errors.Is`, and a type with `errors.As`: they come wrapped, with the object and the operation in the message. What\n")
	b.WriteString("the HTTP API makes of them is in [api.md](api.md#errors).\n")
	for _, dir := range slices.Sorted(maps.Keys(byPackage)) {
		path := "github.com/setpointhq/setpoint"
		if dir != "." {
			path += "/" + dir
		}
		fmt.Fprintf(&b, "\n## `%s`\n\n| error | meaning | what to do |\n| --- | --- | --- |\n", path)
		list := byPackage[dir]
		slices.SortStableFunc(list, func(a, b errorDoc) int { return strings.Compare(a.name, b.name) })
		for _, e := range list {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", e.name, e.meaning, e.remedy)
		}
	}
	return b.String()
}

// publicPackages parses what authors can import, by folder.
func publicPackages(t *testing.T) map[string][]*ast.File {
	t.Helper()
	packages := map[string][]*ast.File{}
	set := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case "internal", "examples", "test", "cmd", "testdata", "docs", "bin":
				return filepath.SkipDir
			}
			if path != ".." && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel("..", filepath.Dir(path))
		packages[filepath.ToSlash(dir)] = append(packages[filepath.ToSlash(dir)], f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

// errorsOf finds the exported errors that a file declares.
func errorsOf(f *ast.File) (list []errorDoc) {
	types := map[string]string{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range g.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				types[s.Name.Name] = comment(s.Doc, g.Doc)
			case *ast.ValueSpec:
				if g.Tok != token.VAR {
					continue
				}
				for _, n := range s.Names {
					if strings.HasPrefix(n.Name, "Err") {
						list = append(list, describe(n.Name, comment(s.Doc, g.Doc)))
					}
				}
			}
		}
	}
	for _, d := range f.Decls {
		m, ok := d.(*ast.FuncDecl)
		if !ok || m.Name.Name != "Error" || m.Recv == nil {
			continue
		}
		receiver := m.Recv.List[0].Type
		if star, ok := receiver.(*ast.StarExpr); ok {
			receiver = star.X
		}
		if name, ok := receiver.(*ast.Ident); ok && name.IsExported() {
			list = append(list, describe(name.Name, types[name.Name]))
		}
	}
	return list
}

// comment is the comment of a declaration, or of the group that has it alone.
func comment(own, group *ast.CommentGroup) string {
	if own == nil {
		own = group
	}
	if own == nil {
		return ""
	}
	return strings.Join(strings.Fields(own.Text()), " ")
}

var (
	reference = regexp.MustCompile(`\[([A-Za-z.]+)\]`)
	sentence  = regexp.MustCompile(`^(.*?[.)])\s+([A-Z].*)$`)
)

// describe parts a comment: the first sentence is what the error means, the others what to do.
func describe(name, text string) errorDoc {
	for _, opening := range []string{": ", " says that ", " says ", " is "} {
		text = strings.TrimPrefix(text, name+opening)
	}
	text = strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(reference.ReplaceAllString(text, "`$1`"))
	e := errorDoc{name: name, meaning: text}
	if m := sentence.FindStringSubmatch(text); m != nil {
		e.meaning, e.remedy = m[1], m[2]
	}
	if e.meaning != "" {
		e.meaning = strings.ToUpper(e.meaning[:1]) + e.meaning[1:]
	}
	return e
}
