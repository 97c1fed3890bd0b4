package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// WriteKubeconfig writes a configuration with which kubectl and every client of its dialect talk to a server: "kubectl --kubeconfig <path> get …".
// The file is replaced whole, readable by its owner only; its folder must exist. It is JSON, which is YAML.
func WriteKubeconfig(path, server string) error {
	const name = "setpoint"
	type named = map[string]any
	config := map[string]any{
		"apiVersion":      "v1",
		"kind":            "Config",
		"clusters":        []named{{"name": name, "cluster": named{"server": server}}},
		"users":           []named{{"name": name, "user": named{}}},
		"contexts":        []named{{"name": name, "context": named{"cluster": name, "user": name, "namespace": "default"}}},
		"current-context": name,
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return fmt.Errorf("write kubeconfig %s: %w", path, err)
	}
	return WriteFile(path, append(text, '\n'))
}

// WriteFile replaces a file whole: a reader finds the old text or the new, never a part. Only its owner may read it.
func WriteFile(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // 0600, by its documentation
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
