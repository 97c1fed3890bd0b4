package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
)

func (a *app) apply() *cobra.Command {
	var files fileFlags
	var output string
	var dryRun bool
	c := &cobra.Command{
		Use:   "apply -f FILE|DIR|-",
		Short: "Make objects what manifests say",
		Long: `Create the objects that do not exist, and bring the spec, labels and annotations of the others to what the manifests say. The spec becomes that of the
manifest; labels and annotations are added to those the object has. A manifest with a resourceVersion is meant for exactly that version.

Files hold YAML or JSON, any number of documents. All are read before the first is sent; each object is one write, so none is half done. When one
is refused the others are still tried, and the exit code is that of the first failure.`,
		Example: `  setpoint apply -f shop.yaml
  setpoint apply -f manifests/ -n team-a
  cat shop.json | setpoint apply -f - --dry-run`,
		Args: between(0, 0, "manifests by -f"),
		RunE: func(c *cobra.Command, _ []string) error { return a.runApply(c, files, output, dryRun) },
	}
	files.flags(c)
	c.Flags().StringVarP(&output, "output", "o", "", "print the objects as stored, instead of a line each: json, yaml, name or jsonpath=…")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "have the server judge, and write nothing")
	return c
}

func (a *app) runApply(c *cobra.Command, files fileFlags, output string, dryRun bool) error {
	if len(files.files) == 0 {
		return usage("want manifests by -f FILE, -f DIR or -f -")
	}
	form, err := parseFormat(output)
	if err != nil {
		return err
	}
	manifests, err := a.manifests(files)
	if err != nil {
		return err
	}
	if _, err := a.connect(); err != nil {
		return err
	}
	var problems []error
	for _, m := range manifests {
		if err := a.applyOne(c, m, form, dryRun); err != nil {
			problems = append(problems, err)
		}
		if c.Context().Err() != nil {
			break
		}
	}
	return failed(problems)
}

func (a *app) applyOne(c *cobra.Command, m manifest, form format, dryRun bool) error {
	k, err := a.place(c, m)
	if err != nil {
		return err
	}
	stored, did, err := a.client.Apply(c.Context(), k, m.object, client.WriteOptions{DryRun: dryRun, Strict: true})
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", m.from, err)
	case form.name == "name":
		return a.object(form, k, stored)
	case !form.table():
		return a.line(form, stored.Raw)
	case dryRun:
		return a.out("%s %s (dry run)", objectName(k, stored.Metadata.Name), did)
	}
	return a.out("%s %s", objectName(k, stored.Metadata.Name), did)
}
