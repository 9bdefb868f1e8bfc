package main

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is the module's as Go's build recorded it, or the commit's.
func version() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := build.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range build.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

type versionReport struct {
	Version string `json:"version"`
	Go      string `json:"go"`
}

func (r versionReport) text(t *text) { t.linef("goldline %s (%s)", r.Version, r.Go) }

func newVersion(p *program) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say which goldline this is",
		Example: "  goldline version -o json",
		Args:    takes(),
		RunE: p.does(func(context.Context, []string) (report, error) {
			return versionReport{Version: version(), Go: runtime.Version()}, nil
		}),
	}
}
