package api

import "testing"

func FuzzYAML(f *testing.F) {
	for _, s := range []string{"metadata: {name: a}\nspec: {host: h}", "a: &a [x,x]\nb: &b [*a,*a]", "? [a]\n: {b: !!binary x}\n---\n...", "a: |\n  x\n  y\nb: >-\n  z\n", "- a\n- 'b'\n- \"c\"\n", "<<: {a: 1}\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { fromYAML(b) })
}
