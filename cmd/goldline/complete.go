package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// completes lets a shell complete the names of the project's environments, images
// and pipelines, where the usage of a command and of those below it names such. It
// makes no call.
func (p *program) completes(c *cobra.Command) {
	for _, sub := range c.Commands() {
		p.completes(sub)
	}
	if c.Flags().Lookup("env") != nil {
		_ = c.RegisterFlagCompletionFunc("env", p.names("ENV")) // it is there
	}
	if c.Flags().Lookup("to") != nil && c.Name() == "promote" {
		_ = c.RegisterFlagCompletionFunc("to", p.names("ENV"))
	}
	var words []string
	for _, word := range strings.Fields(c.Use)[1:] {
		if strings.HasPrefix(strings.TrimPrefix(word, "["), "-") {
			break
		}
		words = append(words, word)
	}
	if c.HasSubCommands() || len(words) == 0 {
		return
	}
	c.ValidArgsFunction = func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		last := words[len(words)-1]
		switch {
		case len(args) < len(words):
			return p.names(words[len(args)])(c, args, typed)
		case strings.HasSuffix(last, "...]"):
			return p.names(last)(c, args, typed)
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// names lists what a word of a command's usage may stand for.
func (p *program) names(word string) cobra.CompletionFunc {
	word, _, _ = strings.Cut(strings.Trim(word, "[.]"), "|")
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		switch word {
		case "FILE", "PATH":
			return nil, cobra.ShellCompDirectiveDefault
		case "ENV", "IMAGE", "PIPELINE":
		default:
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		loaded, err := p.read()
		if loaded == nil || err != nil && len(loaded.Environments()) == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		switch word {
		case "ENV":
			for _, env := range loaded.Environments() {
				names = append(names, env.Name)
			}
		case "IMAGE":
			names = loaded.ImageNames()
		case "PIPELINE":
			names = loaded.PipelineNames()
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
