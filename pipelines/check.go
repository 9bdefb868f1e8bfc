package pipelines

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/probe"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/launch"
)

// How long a check may take and how often it looks, where it does not say.
const (
	checkDeadline = 2 * time.Minute
	checkInterval = 250 * time.Millisecond
	// slowest is the factor by which the interval grows while nothing answers:
	// calls are counted, and what is not up after a minute is not missed by two
	// seconds.
	slowest = 8
)

// check is the work of a check stage: every instance is looked at, all at the
// same time, until each has passed or the deadline is over.
func (r *run) check(s PlannedStage, sink event.Sink) step {
	return func(ctx context.Context) (outcome, error) {
		instances, err := r.instances(ctx, s, sink)
		if err != nil {
			return outcome{}, r.failing(s, fail.Unchanged(err))
		}
		deadline := s.stage.Check.Deadline.Or(checkDeadline)
		within, cancel := context.WithTimeout(ctx, deadline)
		defer cancel()
		c := &checking{run: r, stage: s, spec: s.stage.Check, cloud: r.clouds[s.Environment], deadline: deadline}
		err = graph.Each(within, 0, len(instances), func(within context.Context, i int) error {
			return c.instance(within, instances[i], event.Scope(sink, s.Name, instances[i].Address))
		})
		if err == nil && len(c.spec.Command) > 0 {
			err = c.command(within, instances, sink)
		}
		if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
			return outcome{}, ctx.Err()
		}
		if err = fail.Join(err, r.record(ctx, s, sink, instances, err == nil)); err != nil {
			return outcome{}, r.failing(s, fail.Unchanged(err))
		}
		noun := "instances pass"
		if len(instances) == 1 {
			noun = "instance passes"
		}
		return outcome{verb: fmt.Sprintf("%d %s", len(instances), noun)}, nil
	}
}

// record keeps what became of a check, also of one whose time is over.
func (r *run) record(ctx context.Context, s PlannedStage, sink event.Sink, instances []launch.Instance, passed bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTime)
	defer cancel()
	return r.promoter.Telling(sink).Checked(ctx, s.Environment, s.Name, amis(instances), passed)
}

// amis are those that instances run.
func amis(instances []launch.Instance) []string {
	var list []string
	for _, i := range instances {
		if !slices.Contains(list, i.AMI) {
			list = append(list, i.AMI)
		}
	}
	return list
}

// instances are those that the check is about.
func (r *run) instances(ctx context.Context, s PlannedStage, sink event.Sink) ([]launch.Instance, error) {
	all, err := launch.Instances(ctx, r.launchOptions(s, sink))
	if err != nil {
		return nil, err
	}
	var of []launch.Instance
	for _, i := range all {
		if len(s.Images) == 0 || slices.Contains(s.Images, i.Image) {
			of = append(of, i)
		}
	}
	if len(of) > 0 {
		return of, nil
	}
	what := "instances"
	if len(s.Images) > 0 {
		what = "instances of " + strings.Join(s.Images, ", ")
	}
	err = fmt.Errorf("there are no %s in %s to check", what, s.Environment)
	return nil, fail.WithHint(err, "launch them first: goldline launch %s", s.Environment)
}

// failing is the error of a check that did not pass. A check changes nothing,
// but what this run brought into the environment runs there and is not well.
func (r *run) failing(s PlannedStage, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(err, context.Canceled) {
		return err
	}
	var left []fail.Left
	for _, m := range r.moves[s.Environment] {
		if m.From.AMI != "" {
			left = append(left, fail.Left{
				What:    fmt.Sprintf("%s %s runs in %s, where %s ran before", m.Image, m.To, m.Environment, m.From),
				Command: fmt.Sprintf("goldline rollback %s --env %s", m.Image, m.Environment),
			})
		}
	}
	if len(left) == 0 && r.launched[s.Environment] {
		left = append(left, fail.Left{What: "environment " + s.Environment + ", as this run launched it", Command: "goldline destroy " + s.Environment})
	}
	if len(left) == 0 {
		return err
	}
	return fail.Dirty(err, left...)
}

// checking is a check under way.
type checking struct {
	run      *run
	stage    PlannedStage
	spec     *project.CheckStage
	cloud    *cloud.Cloud
	deadline time.Duration
}

// instance checks one instance.
func (c *checking) instance(ctx context.Context, i launch.Instance, sink event.Sink) error {
	var probes []probe.Probe
	if c.spec.Console != "" {
		console, err := c.console(i)
		if err != nil {
			return err
		}
		probes = append(probes, console)
	}
	if c.spec.HTTP != nil {
		probes = append(probes, c.http(i))
	}
	for _, p := range probes {
		if err := c.until(ctx, p, sink); err != nil {
			return fmt.Errorf("%s (%s): %w", i.Address, i.ID, err)
		}
	}
	if len(probes) > 0 {
		sink.Emit(event.Event{Kind: event.Progress, Message: "passed"})
	}
	return nil
}

// until looks again and again.
func (c *checking) until(ctx context.Context, look probe.Probe, sink event.Sink) error {
	interval := c.spec.Interval.Or(checkInterval)
	began, told := time.Now(), time.Now()
	saw := "nothing"
	for pause := interval; ; pause = min(pause*3/2, slowest*interval) {
		ok, now, err := look(ctx)
		switch {
		case ok:
			return nil
		case ctx.Err() != nil:
			return c.over(ctx, saw)
		case err != nil:
			return err
		}
		saw = now
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			first, _, _ := strings.Cut(saw, "\n")
			sink.Emit(event.Event{Kind: event.Waiting, Message: fmt.Sprintf("%s of %s: %s", time.Since(began).Round(time.Second), c.deadline, first)})
		}
		if cloud.Sleep(ctx, pause) != nil {
			return c.over(ctx, saw)
		}
	}
}

func (c *checking) over(ctx context.Context, saw string) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return fmt.Errorf("not within %s: %s", c.deadline, saw)
}

// named is a name that has a value when a check runs.
var named = regexp.MustCompile(`\$\{((?:instance|environment)\.[A-Za-z0-9_.]+)\}`)

// values are the names that a check may use.
func values(env *project.Environment, i launch.Instance) map[string]string {
	return map[string]string{
		"environment.name": env.Name, "environment.region": env.Region, "environment.account": env.Account,
		"instance.address": i.Address, "instance.id": i.ID, "instance.image": i.Image, "instance.ami": i.AMI, "instance.version": i.Version,
		"instance.uuid": i.UUID, "instance.private_ip": i.PrivateIP, "instance.public_ip": i.PublicIP,
	}
}

// fill puts values in the places of names, quoted as the text needs it.
func fill(text string, of map[string]string, quote func(string) string) string {
	return named.ReplaceAllStringFunc(text, func(name string) string {
		return quote(of[name[2:len(name)-1]])
	})
}

func asIs(s string) string { return s }

// checkNames reports names in a check that have no value.
func (c *compiler) checkNames(s *project.Stage) {
	texts := []string{s.Check.Console}
	if s.Check.HTTP != nil {
		texts = append(texts, s.Check.HTTP.Path, s.Check.HTTP.Contains)
	}
	known := values(&project.Environment{}, launch.Instance{})
	for _, text := range texts {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if _, ok := known[m[1]]; !ok {
				names := make([]string, 0, len(known))
				for name := range known {
					names = append(names, "${"+name+"}")
				}
				slices.Sort(names)
				c.problems.AddHint(s.Pos, "known here: "+strings.Join(names, ", "), "check of stage %q: nothing is called ${%s}", s.Name, m[1])
			}
		}
	}
}
