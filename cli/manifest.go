package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
)

// maxManifest bounds a file of manifests in bytes.
const maxManifest = 256 << 20

// manifest is one object as a file describes it.
type manifest struct {
	object *client.Object
	// from says where it stands: "gateways.yaml, document 2 (line 14)".
	from string
}

// fileFlags name manifests.
type fileFlags struct {
	files     []string
	recursive bool
}

func (f *fileFlags) flags(c *cobra.Command) {
	c.Flags().StringSliceVarP(&f.files, "filename", "f", nil, "file or folder of manifests, - for standard input; may be repeated")
	c.Flags().BoolVarP(&f.recursive, "recursive", "R", false, "folders of folders too")
}

// manifests reads all files. Any mistake in any of them is an error: nothing is sent before all can be read.
func (a *app) manifests(f fileFlags) ([]manifest, error) {
	var all []manifest
	for _, name := range f.files {
		paths, err := expand(name, f.recursive)
		if err != nil {
			return nil, &usageError{err}
		}
		for _, path := range paths {
			found, err := a.manifestsIn(path)
			if err != nil {
				return nil, &usageError{err}
			}
			all = append(all, found...)
		}
	}
	if len(all) == 0 {
		return nil, usage("no manifests in %s", strings.Join(f.files, ", "))
	}
	return all, nil
}

// expand lists the files of a folder that hold manifests, in the order of their names; a file is itself.
func expand(name string, recursive bool) ([]string, error) {
	if name == "-" {
		return []string{name}, nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	var paths []string
	err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != name && !recursive:
			return fs.SkipDir
		case !d.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)):
			paths = append(paths, path)
		}
		return nil
	})
	return paths, err
}

func (a *app) manifestsIn(path string) (found []manifest, err error) {
	text, err := a.readFile(path)
	if err != nil {
		return nil, err
	}
	if path == "-" {
		path = "standard input"
	}
	number := 0
	each := func(line int, body json.RawMessage, err error) error {
		number++
		from := fmt.Sprintf("%s, document %d (line %d)", path, number, line)
		if err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		objects, err := toManifests(from, body)
		found = append(found, objects...)
		return err
	}
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		return found, jsonDocuments(text, each)
	}
	err = yamlDocuments(text, func(line int, document []byte) error {
		body, err := fromYAML(line, document)
		return each(line, body, err)
	})
	return found, err
}

func (a *app) readFile(path string) (text []byte, err error) {
	in := a.Stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		in = file
	}
	text, err = io.ReadAll(io.LimitReader(in, maxManifest+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", path, err)
	case len(text) > maxManifest:
		return nil, fmt.Errorf("%s is larger than %d MiB: split it", path, maxManifest>>20)
	}
	return text, nil
}

// jsonDocuments calls each with every JSON value of a text and the line it begins at.
func jsonDocuments(text []byte, each func(line int, body json.RawMessage, err error) error) error {
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		at := d.InputOffset()
		for at < int64(len(text)) && strings.IndexByte(" \t\r\n", text[at]) >= 0 {
			at++
		}
		var body json.RawMessage
		err := d.Decode(&body)
		if errors.Is(err, io.EOF) {
			return nil
		}
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			err = fmt.Errorf("line %d: %w", 1+bytes.Count(text[:min(int64(len(text)), syntax.Offset)], []byte{'\n'}), err)
		}
		if err := each(1+bytes.Count(text[:at], []byte{'\n'}), body, err); err != nil {
			return err
		}
	}
}

// toManifests reads an object, or the objects of a list.
func toManifests(from string, body json.RawMessage) ([]manifest, error) {
	o := &client.Object{}
	if err := json.Unmarshal(body, o); err != nil {
		return nil, fmt.Errorf("%s: is not an object with apiVersion, kind and metadata: %w", from, err)
	}
	if items, ok := o.Other["items"]; ok && strings.HasSuffix(o.Kind, "List") {
		var bodies []json.RawMessage
		if err := json.Unmarshal(items, &bodies); err != nil {
			return nil, fmt.Errorf("%s: items is not a list: %w", from, err)
		}
		var all []manifest
		for i, item := range bodies {
			found, err := toManifests(fmt.Sprintf("%s, item %d", from, i+1), item)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
		return all, nil
	}
	for _, need := range []struct{ field, value string }{
		{"apiVersion", o.APIVersion}, {"kind", o.Kind}, {"metadata.name", string(o.Metadata.Name) + o.Metadata.GenerateName},
	} {
		if need.value == "" {
			return nil, fmt.Errorf("%s: %s is missing", from, need.field)
		}
	}
	return []manifest{{object: o, from: from}}, nil
}

// place finds the kind of a manifest and puts it into a namespace.
func (a *app) place(c *cobra.Command, m manifest) (client.Kind, error) {
	k, err := a.client.KindOf(c.Context(), m.object.APIVersion, m.object.Kind)
	if err != nil {
		return k, fmt.Errorf("%s: %w", m.from, err)
	}
	meta := &m.object.Metadata
	switch {
	case !k.Namespaced && meta.Namespace != "":
		return k, usage("%s: metadata.namespace is %q, but %s have no namespaces: remove it", m.from, meta.Namespace, k.Plural)
	case a.namespace != "" && meta.Namespace != "" && string(meta.Namespace) != a.namespace:
		return k, usage("%s: metadata.namespace is %q, but --namespace says %q: remove one of them", m.from, meta.Namespace, a.namespace)
	case meta.Namespace == "":
		meta.Namespace = a.inNamespace(k)
	}
	return k, nil
}
