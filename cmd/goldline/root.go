package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// root is the tree of commands.
func (p *program) root() *cobra.Command {
	c := &cobra.Command{
		Use:   "goldline",
		Short: "Bake golden images, promote them, launch the platform that runs them",
		Long: `Goldline bakes golden machine images, one per service, promotes them from
environment to environment, and launches the whole tagged platform that runs
them. With --local it does all of it in an emulated AWS on this machine.`,
		Example: `  goldline run release --local
  goldline plan prod --local --exit-code
  goldline rollback web --env prod --local`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          group,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if p.flags.output != outputText && p.flags.output != outputJSON {
				return usage(c, "-o %s: the output is text or json", p.flags.output)
			}
			return nil
		},
	}
	c.SetVersionTemplate("goldline {{.Version}}\n")
	c.SetOut(p.stdout)
	c.SetErr(p.stderr)
	c.SetFlagErrorFunc(flagError)
	p.globalFlags(c.PersistentFlags())
	c.AddCommand(
		newRun(p), newValidate(p), newBake(p), newSweep(p), newPromote(p), newApprove(p), newRollback(p),
		newPlan(p), newLaunch(p), newAudit(p), newImport(p), newDestroy(p), newLock(p),
		newImages(p), newUserdata(p), newLocal(p), newVersion(p),
	)
	p.completes(c)
	return c
}

func (p *program) globalFlags(f *pflag.FlagSet) {
	f.StringVar(&p.flags.project, "project", "", "the project's folder (default: the one at or above the working folder that holds goldline.yaml)")
	f.BoolVar(&p.flags.local, "local", false, "use the local cloud, kept under .goldline/local in the project")
	output := outputText
	if p.flags.output != "" {
		output = p.flags.output
	}
	f.StringVarP(&p.flags.output, "output", "o", output, "text, or json: one document on standard output at the end")
	f.BoolVar(&p.flags.yes, "yes", false, "answer yes to every question")
	f.BoolVar(&p.flags.noColor, "no-color", false, "no colours (also NO_COLOR)")
	f.StringVar(&p.flags.localMachine, "local-machine", "", "what local instances run on: overlay, userns, in-process or none (also GOLDLINE_LOCAL_MACHINE)")
	_ = f.MarkHidden("local-machine") // it is defined on the line before
}

// group is the action of a command that only holds others.
func group(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	err := fail.Inputf("%s has no command %q", c.CommandPath(), args[0])
	if hint := diag.DidYouMean(args[0], names); hint != "" {
		return fail.WithHint(err, "%s", hint)
	}
	return fail.WithHint(err, "the commands are %s", strings.Join(names, ", "))
}

// newGroup is a command that only holds others.
func newGroup(use, short, example string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example, Args: cobra.ArbitraryArgs, RunE: group}
	c.AddCommand(commands...)
	return c
}

func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		})
		if near := diag.Suggest(unknown.GetSpecifiedName(), names); near != "" {
			return fail.WithHint(fail.Inputf("%s: %w", c.CommandPath(), err), "did you mean --%s?", near)
		}
	}
	return usage(c, "%s: %w", c.CommandPath(), err)
}

// takes says which arguments a command takes: those named in order, of which
// the last may be optional ("[PATH]") or repeated ("[IMAGE...]").
func takes(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		least, most := 0, len(names)
		for _, name := range names {
			if !strings.HasPrefix(name, "[") {
				least++
			}
			if strings.HasSuffix(name, "...]") {
				most = len(args)
			}
		}
		switch {
		case len(args) < least:
			return usage(c, "%s: %s is missing", c.CommandPath(), names[len(args)])
		case len(args) > most:
			return usage(c, "%s: %q is one argument too many", c.CommandPath(), args[most])
		}
		return nil
	}
}

// execute parses the command line and carries the command out. The first
// interrupt ends the command's context; after the second it returns at once with
// errHalted.
func (p *program) execute(ctx context.Context, args []string) error {
	root := p.root()
	root.SetArgs(args)
	err := p.interruptible(ctx, func(ctx context.Context) error { return root.ExecuteContext(ctx) })
	if err != nil && !errors.Is(err, errHalted) && !p.began {
		var exit interface{ ExitCode() int }
		if !errors.As(err, &exit) {
			err = fail.Input(err)
		}
	}
	return err
}

// required is an error where a flag was not given.
func required(c *cobra.Command, name, value string) error {
	if value == "" {
		return usage(c, "%s: --%s is missing", c.CommandPath(), name)
	}
	return nil
}

// vars are values of --var.
type vars map[string]string

func (v vars) String() string { return "" }

// Type is what the help calls the value.
func (v vars) Type() string { return "name=value" }

// Set takes one name=value.
func (v vars) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return fmt.Errorf("%q is not name=value", text)
	}
	v[name] = value
	return nil
}

// varFlag gives a command --var. The values are the program's, which looks
// whether the project knows their names when it loads it.
func (p *program) varFlag(c *cobra.Command) vars {
	c.Flags().Var(p.vars, "var", "value for ${var.name}; may be repeated")
	return p.vars
}
