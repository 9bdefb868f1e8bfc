package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/ledger"
	"github.com/goldline-dev/goldline/pipelines"
)

// runResumed goes on with a run that ended before its last stage.
func runResumed(ctx context.Context, p *program, o runOptions) (report, error) {
	dir, err := p.dir()
	if err != nil {
		return nil, err
	}
	earlier, err := p.earlier(dir, o.resume)
	if err != nil {
		return nil, err
	}
	if err := p.sameGiven(dir, o); err != nil {
		return nil, err
	}
	var builds map[string]string
	if o.only, builds = earlier.Resume(); len(o.only) == 0 {
		return nil, fail.Inputf("run %s went through all of its stages: nothing is left to go on with", o.resume)
	}
	return runRun(ctx, p, earlier.Pipeline, o, builds)
}

// earlier reads what became of a run, from its record on this machine.
func (p *program) earlier(dir, run string) (pipelines.Result, error) {
	var r pipelines.Result
	if filepath.Base(run) != run {
		return r, fail.Inputf("%q is no ID of a run", run)
	}
	if ledger.Alive(dir, run) {
		return r, fail.Inputf("run %s goes on still", run)
	}
	text, err := os.ReadFile(filepath.Join(ledger.Dir(dir, run), ledger.ResultFile))
	if errors.Is(err, os.ErrNotExist) {
		err := fail.Inputf("run %s is not on record here: it was another machine's or another project's, ran no pipeline, or was killed before it had begun one", run)
		return r, fail.WithHint(err, "`goldline run PIPELINE` goes on from what the cloud shows, whoever began it")
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err == nil && r.Pipeline == "" {
		err = errors.New("it ran no pipeline")
	}
	if err != nil {
		return r, fail.Inputf("run %s: %w", run, err)
	}
	return r, nil
}

// sameGiven refuses to go on in another cloud than the run was in, and without a
// variable that it was given: its value is on no record, since it may be secret.
func (p *program) sameGiven(dir string, o runOptions) error {
	runs, err := ledger.Runs(dir)
	if err != nil {
		return fail.Input(err)
	}
	at := slices.IndexFunc(runs, func(r ledger.Summary) bool { return r.Run == o.resume })
	if at < 0 {
		return nil
	}
	words := strings.Fields(runs[at].Command)
	switch local := slices.Contains(words, "--local") || slices.Contains(words, "--local=true"); {
	case local && !p.flags.local:
		return fail.WithHint(fail.Inputf("run %s was in the local cloud", o.resume), "add --local")
	case !local && p.flags.local:
		return fail.WithHint(fail.Inputf("run %s was not in the local cloud", o.resume), "leave --local out")
	}
	var missing []string
	for _, word := range words {
		name, hidden := strings.CutSuffix(strings.TrimPrefix(word, "--var="), "=...")
		if _, given := o.vars[name]; hidden && !given {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	err = fail.Inputf("run %s was given a value for %s, which is on no record", o.resume, strings.Join(missing, " and "))
	return fail.WithHint(err, "give it again: --var %s=...", strings.Join(missing, "=... --var "))
}
