package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
)

// completionTime bounds how long a shell waits for the server.
const completionTime = 2 * time.Second

// completeWords completes a flag with fixed words. The flag exists, so there is nothing that could fail but a mistake of ours.
func completeWords(c *cobra.Command, flag string, words ...string) {
	err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic("cli: " + err.Error())
	}
}

// completeObjects completes a kind, and after it names of objects.
func (a *app) completeObjects(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(c.Context(), completionTime)
	defer cancel()
	words, err := a.words(ctx, args, begun)
	if err != nil {
		cobra.CompErrorln(err.Error())
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) words(ctx context.Context, args []string, begun string) (words []string, err error) {
	server, err := a.connect()
	if err != nil {
		return nil, err
	}
	if len(args) == 0 && !strings.Contains(begun, "/") {
		kinds, err := server.Kinds(ctx)
		for _, k := range kinds {
			if k.Can("list") && strings.HasPrefix(k.Plural, begun) {
				words = append(words, k.Plural)
			}
		}
		return words, err
	}
	word, prefix := begun, ""
	if len(args) > 0 {
		word = args[0]
	} else {
		word, _, _ = strings.Cut(begun, "/")
		prefix = word + "/"
	}
	k, err := server.Resolve(ctx, word)
	if err != nil {
		return nil, err
	}
	list, err := server.List(ctx, k, client.ListOptions{Namespace: a.inNamespace(k), Limit: client.PageSize})
	if err != nil {
		return nil, err
	}
	for _, o := range list.Items {
		if name := prefix + string(o.Metadata.Name); strings.HasPrefix(name, begun) {
			words = append(words, name)
		}
	}
	return words, nil
}
