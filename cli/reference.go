package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

//go:generate go test . -run Reference -update

// Reference writes the command line reference as Markdown, from the command tree itself.
func Reference(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("# The command line\n\n")
	b.WriteString("<!-- Written by the test of package cli: go test ./cli -run Reference -update. Do not edit. -->\n\n")
	b.WriteString(root.Long + "\n\n")
	b.WriteString("## Commands\n\n| | |\n| --- | --- |\n")
	for _, c := range listed(root) {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", c.Name(), strings.ReplaceAll(c.CommandPath(), " ", "-"), c.Short)
	}
	b.WriteString("\n## Flags of every command\n\n")
	flagTable(&b, root.PersistentFlags())
	for _, c := range listed(root) {
		var section strings.Builder
		commandReference(&section, c)
		b.WriteString("\n" + strings.TrimRight(section.String(), "\n") + "\n")
	}
	configReference(&b)
	b.WriteString("\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n")
	for _, e := range ExitCodes {
		fmt.Fprintf(&b, "| %d | %s |\n", e.Code, e.Meaning)
	}
	return b.String()
}

func listed(root *cobra.Command) (commands []*cobra.Command) {
	for _, c := range root.Commands() {
		if !c.Hidden && c.GroupID != "" {
			commands = append(commands, c)
		}
	}
	return commands
}

func commandReference(b *strings.Builder, c *cobra.Command) {
	level := strings.Repeat("#", 1+strings.Count(c.CommandPath(), " "))
	fmt.Fprintf(b, "%s %s\n\n%s.\n\n```\n%s\n```\n\n", level, c.CommandPath(), c.Short, strings.TrimSuffix(c.CommandPath(), c.Name())+c.Use)
	if c.Long != "" {
		paragraphs(b, c.Long)
	}
	if c.Example != "" {
		fmt.Fprintf(b, "```sh\n%s\n```\n\n", dedent(c.Example))
	}
	flagTable(b, c.LocalNonPersistentFlags())
	for _, sub := range c.Commands() {
		commandReference(b, sub)
	}
}

// paragraphs writes text as Markdown; indented lines as they are.
func paragraphs(b *strings.Builder, text string) {
	for p := range strings.SplitSeq(text, "\n\n") {
		if strings.Contains(p, "\n  ") || strings.HasPrefix(p, "  ") {
			p = "```\n" + p + "\n```"
		}
		b.WriteString(p + "\n\n")
	}
}

func dedent(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, "\n")
}

func flagTable(b *strings.Builder, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	b.WriteString("| flag | default | |\n| --- | --- | --- |\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		usage := strings.ReplaceAll(f.Usage, "|", `\|`)
		fmt.Fprintf(b, "| %s | %s | %s |\n", name, code(strings.Trim(f.DefValue, "[]")), usage)
	})
	b.WriteString("\n")
}

func configReference(b *strings.Builder) {
	b.WriteString("\n## Configuration of a server\n\n")
	b.WriteString("`dev` and `serve` read settings from flags, then the environment, then the YAML file named by `--config` or `SETPOINT_CONFIG`, then the defaults.\n\n")
	b.WriteString("| key | flag | variable | default | |\n| --- | --- | --- | --- | --- |\n")
	for _, s := range Settings {
		fmt.Fprintf(b, "| `%s` | `--%s` | `%s` | %s | %s |\n", s.Key, s.Flag(), s.Variable(), code(s.Default), s.Meaning)
	}
	b.WriteString("\nClients read `SETPOINT_SERVER`, `SETPOINT_NAMESPACE` and `SETPOINT_TOKEN`.\n")
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + cmp.Or(s, "-") + "`"
}
