package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/launch"
	"github.com/goldline-dev/goldline/userdata"
	"github.com/spf13/cobra"
)

func newUserdata(p *program) *cobra.Command {
	return newGroup("userdata", "The JSON document that an instance is launched with",
		"  goldline userdata render 'instance.web[0]' --env dev --local\n  goldline userdata get extra.feature",
		newUserdataRender(p), newUserdataValidate(p), newUserdataGet(p))
}

// documentReport is user data: as it stands in text, as an object in JSON.
type documentReport struct {
	UserData json.RawMessage `json:"user_data"`
	Bytes    int             `json:"bytes"`
	raw      []byte
}

func newDocumentReport(data []byte) documentReport {
	return documentReport{UserData: json.RawMessage(data), Bytes: len(data), raw: data}
}

func (r documentReport) text(t *text) { fmt.Fprintf(t.out, "%s", r.raw) }

func newUserdataRender(p *program) *cobra.Command {
	var env string
	c := &cobra.Command{
		Use:     "render ADDRESS --env ENV",
		Short:   "Print the user data that an instance would be launched with",
		Example: "  goldline userdata render 'instance.web[0]' --env dev --local",
		Args:    takes("ADDRESS"),
		PreRunE: func(c *cobra.Command, _ []string) error { return required(c, "env", env) },
	}
	c.Flags().StringVar(&env, "env", "", "the environment")
	values := p.varFlag(c)
	c.RunE = p.does(func(ctx context.Context, args []string) (report, error) {
		options, err := p.topology(ctx, env, values, event.Scope(p.progress, "userdata", args[0]), "")
		if err != nil {
			return nil, err
		}
		data, err := launch.RenderUserData(ctx, options, args[0])
		if err != nil {
			return nil, err
		}
		return newDocumentReport(data), nil
	})
	return c
}

type checkedReport struct {
	Valid bool `json:"valid"`
	Bytes int  `json:"bytes"`
	Limit int  `json:"limit"`
}

func (r checkedReport) text(t *text) {
	t.linef("valid user data: %d of at most %d bytes", r.Bytes, r.Limit)
}

func newUserdataValidate(p *program) *cobra.Command {
	return &cobra.Command{
		Use:     "validate FILE",
		Short:   "Check that a file is a document that instances understand (- is standard input)",
		Example: "  goldline userdata render instance.db --env dev --local | goldline userdata validate -",
		Args:    takes("FILE"),
		RunE: p.does(func(_ context.Context, args []string) (report, error) {
			data, err := p.file(args[0])
			if err != nil {
				return nil, fail.Input(err)
			}
			if _, err := userdata.Decode(data); err != nil {
				return nil, fail.Input(fmt.Errorf("%s: %w", args[0], err))
			}
			return checkedReport{Valid: true, Bytes: len(data), Limit: userdata.Limit}, nil
		}),
	}
}

// file reads a file that the command line names; more than user data can hold is
// not read whole.
func (p *program) file(name string) ([]byte, error) {
	in := p.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, 1<<20))
}

// valueReport is one value: text as it is, for scripts, anything else as JSON.
type valueReport struct {
	Path  string `json:"path"`
	Value any    `json:"value"`
}

func (r valueReport) text(t *text) {
	if s, ok := r.Value.(string); ok {
		t.linef("%s", s)
		return
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r.Value); err == nil { // it was decoded from JSON
		fmt.Fprintf(t.out, "%s", b.Bytes())
	}
}

func newUserdataGet(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "get [PATH]",
		Short: "Print a value of this instance's user data; runs on an instance",
		Long: `Asks the metadata service (IMDSv2) of the instance that it runs on for its user
data and prints the value at PATH, or all of it. An instance that shares its user
data with others learns its address and uuid from its metadata tags. AWS_EC2_METADATA_SERVICE_ENDPOINT
names another metadata service.`,
		Example: "  goldline userdata get extra.feature\n  goldline userdata get 'extra.list[0]'",
		Args:    takes("[PATH]"),
		RunE: p.does(func(ctx context.Context, args []string) (report, error) {
			path := ""
			if len(args) == 1 {
				path = args[0]
			}
			return runUserdataGet(ctx, p, path)
		}),
	}
}

func runUserdataGet(ctx context.Context, p *program, path string) (report, error) {
	fetch := userdata.Own
	if strings.HasPrefix(path, "extra") {
		fetch = userdata.Fetch // the same on every instance that shares it
	}
	data, err := fetch(ctx, p.getenv(userdata.EndpointVariable), nil)
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, userdata.ErrNone) {
			return nil, fail.Clean(err)
		}
		return nil, fail.WithHint(fail.Clean(err), "this command runs on an instance")
	}
	value, err := userdata.Get(data, path)
	if err != nil {
		return nil, fail.Input(err)
	}
	if path == "" {
		return newDocumentReport(data), nil
	}
	return valueReport{Path: path, Value: value}, nil
}
