package api_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/api"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// TestMergePatch: a patch that comes by another door than HTTP does what PATCH does, and is told in words what is wrong with it.
func TestMergePatch(t *testing.T) {
	s := serve(t)
	o := s.make(t, "a", "default", nil)
	for _, c := range []struct {
		reason string
		key    resource.Key
		at     resource.Revision
		patch  string
		says   string
		is     error
	}{
		{"a field that the kind lacks", o.Key, o.Revision, `{"spec":{"sise":3}}`, `unknown field "spec.sise"`, nil},
		{"a value beyond the schema's bound", o.Key, o.Revision, `{"spec":{"size":10}}`, "spec.size", nil},
		{"a status", o.Key, o.Revision, `{"status":{"address":"x"}}`, "status: it is what controllers report", nil},
		{"another name", o.Key, o.Revision, `{"metadata":{"name":"b"}}`, "metadata.name", nil},
		{"no object", o.Key, o.Revision, `["spec"]`, "merge patch", nil},
		{"no JSON", o.Key, o.Revision, `{"spec":`, "merge patch", nil},
		{"an older revision", o.Key, o.Revision - 1, `{"spec":{"size":3}}`, "expected revision", store.ErrConflict},
		{"another kind", resource.Key{Kind: "Nothing.edge.example", Namespace: "default", Name: "a"}, o.Revision, `{}`, "Nothing.edge.example", resource.ErrUnknownKind},
	} {
		if err := patched(t, s, c.key, c.at, c.patch); err == nil || !strings.Contains(err.Error(), c.says) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v, want %q", c.reason, err, c.says)
		}
	}
	if now, _ := s.Get(o.Key); now.Revision != o.Revision {
		t.Fatalf("what was refused is stored: %s at %d", now.Spec, now.Revision)
	}
	if err := patched(t, s, o.Key, o.Revision, `{"spec":{"size":3},"metadata":{"labels":{"a":"b"}}}`); err != nil {
		t.Fatal(err)
	}
	if now, _ := s.Get(o.Key); !strings.Contains(string(now.Spec), `"size":3`) || !strings.Contains(string(now.Spec), "x.example") || now.Labels["a"] != "b" {
		t.Errorf("after a patch: %s %v", now.Spec, now.Labels)
	}
}

func patched(t *testing.T, s *served, key resource.Key, at resource.Revision, patch string) error {
	t.Helper()
	change, err := s.handler.MergePatch(key, at, []byte(patch))
	if err == nil {
		_, err = s.Update(t.Context(), "t", key, change, api.WriteOptions{})
	}
	return err
}
