package launch

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/leash"
)

// hook runs one of the local commands of a roll-out, if it has it, about an
// instance or none, within the deadline for one. Its output becomes events.
func (e *execution) hook(ctx context.Context, r *rolling, address string, now types.Instance, name string) error {
	h := r.spec.Hooks
	if h == nil {
		return nil
	}
	argv := map[string][]string{"before_replace": h.BeforeReplace, "after_replace": h.AfterReplace, "after_rollout": h.AfterRollout}[name]
	if len(argv) == 0 {
		return nil
	}
	limit := r.spec.Within()
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	e.tell(r, address, event.Progress, "%s", name)
	var last string
	c := leash.Command{Argv: argv, Dir: e.Dir, Env: append(e.environ(r, address, now), "GOLDLINE_HOOK="+name), Line: func(text string) {
		last = text
		e.tell(r, address, event.Output, "%s", text)
	}}
	err := c.Run(within)
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil && errors.Is(within.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("%s: not within %s", name, limit)
	case last != "" && ctx.Err() == nil:
		err = fmt.Errorf("%s: %w: %s", name, err, last)
	default:
		err = fmt.Errorf("%s: %w", name, err)
	}
	if e.GoingBack && ctx.Err() == nil {
		e.tell(r, address, event.Warning, "%v", err)
		return nil
	}
	if name == "before_replace" {
		return &untouchedError{err}
	}
	return err
}

// untouchedError is the failure of something before an instance was touched.
type untouchedError struct{ error }

func (e *untouchedError) Unwrap() error { return e.error }

// blamelessError is that of a launch which the builds have no part in.
type blamelessError struct{ error }

func (e *blamelessError) Unwrap() error { return e.error }

// Blameless tells whether a launch failed by nothing that a build could have
// done: before_replace did not let it begin.
func Blameless(err error) bool {
	var blameless *blamelessError
	return errors.As(err, &blameless)
}

// instanceNow is the instance that an address has; empty where it has none.
func (e *execution) instanceNow(address string) types.Instance {
	if f := e.now(address); f != nil {
		if i, ok := f.raw.(instance); ok {
			return i.Instance
		}
	}
	return types.Instance{}
}

// environ tells a local command about the roll-out and one instance in it.
func (e *execution) environ(r *rolling, address string, i types.Instance) []string {
	m := r.member(address)
	if r.of != nil {
		m.From = r.from // a group's new instances are nobody's successors
	}
	env := []string{
		"GOLDLINE_PROJECT=" + e.Project, "GOLDLINE_ENVIRONMENT=" + e.environment, "GOLDLINE_REGION=" + e.region, "GOLDLINE_RUN=" + e.Run,
		"GOLDLINE_DEFINITION=" + r.definition, "GOLDLINE_ADDRESS=" + address,
	}
	add := func(name, value string) {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	add("GOLDLINE_INSTANCE_ID", aws.ToString(i.InstanceId))
	add("GOLDLINE_OLD_INSTANCE_ID", m.Old)
	add("GOLDLINE_OLD_IMAGE_ID", m.From)
	add("GOLDLINE_PRIVATE_IP", aws.ToString(i.PrivateIpAddress))
	add("GOLDLINE_PUBLIC_IP", aws.ToString(i.PublicIpAddress))
	if it := e.byAddress[address]; it != nil {
		s, ok := it.spec.(*instanceSpec)
		if r.of != nil {
			s = e.templateOf(it.Resource, "launch_template")
			ok = s != nil
		}
		if ok {
			add("GOLDLINE_IMAGE_ID", e.ami(s))
			add("GOLDLINE_IMAGE", s.Image)
			add("GOLDLINE_VERSION", e.build(s).version)
		}
	}
	return env
}

// firstLine is a text without what comes below its first line.
func firstLine(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	return text
}
