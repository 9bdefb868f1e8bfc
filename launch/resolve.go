package launch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
)

// resolution is what a topology takes from others: values by their expressions,
// and what is wrong with them.
type resolution struct {
	values   map[string]string
	problems diag.List
}

func (r *resolution) missing(l project.Lookup, hint, format string, args ...any) {
	r.problems.AddHint(l.Pos, hint, "%s: %s", l, fmt.Sprintf(format, args...))
}

// resolve puts what others hold in its place in the definitions: parameters,
// outputs of stacks, resources of other environments, zones of the region. What
// is not there is reported all at once, where it is asked for.
func (w *world) resolve(ctx context.Context) error {
	var params, stacks, elsewhere []project.Lookup
	for _, l := range w.Topology.Lookups() {
		switch {
		case l.Parameter != "":
			params = append(params, l)
		case l.Stack != "":
			stacks = append(stacks, l)
		default:
			elsewhere = append(elsewhere, l)
		}
	}
	var parts [3]resolution
	var zones []string
	others := map[string]otherEnvironment{}
	work := []func(ctx context.Context) error{
		func(ctx context.Context) error { return w.parameters(ctx, params, &parts[0]) },
		func(ctx context.Context) error { return w.outputs(ctx, stacks, &parts[1]) },
		func(ctx context.Context) error { return w.elsewhere(ctx, elsewhere, others, &parts[2]) },
		func(ctx context.Context) (err error) { zones, err = w.numberedZones(ctx); return err },
	}
	if err := graph.Each(ctx, 0, len(work), func(ctx context.Context, i int) error { return work[i](ctx) }); err != nil {
		return err
	}
	values := map[string]string{}
	var problems diag.List
	for _, part := range parts {
		problems = append(problems, part.problems...)
		for expr, value := range part.values {
			values[expr] = value
		}
	}
	if err := problems.Err(); err != nil {
		return err
	}
	w.neighbouring = w.neighbours(others)
	if len(values)+len(zones) > 0 {
		// What only now has its value has not been looked at before. What has
		// none yet is looked at by the launch that finds one.
		known := maps.Clone(values)
		maps.DeleteFunc(known, func(_, value string) bool { return value == "" })
		if err := CheckTopology(w.Topology.Resolve(known, zones)).Err(); err != nil {
			return err
		}
	}
	w.Topology = withDomains(w.Project, w.Topology.Resolve(values, zones))
	return nil
}

// parameters reads SSM parameters, ten in a call, as SSM takes them.
func (w *world) parameters(ctx context.Context, list []project.Lookup, r *resolution) error {
	r.values = map[string]string{}
	byName := map[string]project.Lookup{}
	var names []string
	for _, l := range list {
		byName[l.Parameter] = l
		names = append(names, l.Parameter)
	}
	err := cloud.Batches(names, 10, func(names []string) error {
		out, err := w.Cloud.SSM.GetParameters(ctx, &ssm.GetParametersInput{Names: names, WithDecryption: aws.Bool(true)})
		if err != nil {
			return fmt.Errorf("read SSM parameters: %w", err)
		}
		for _, p := range out.Parameters {
			if l, ok := byName[aws.ToString(p.Name)]; ok {
				r.values[l.Expr] = aws.ToString(p.Value)
			}
		}
		return nil
	})
	for _, l := range list {
		if _, ok := r.values[l.Expr]; !ok {
			r.missing(l, "", "no SSM parameter %s in %s", l.Parameter, w.region)
		}
	}
	return err
}

// outputs reads the outputs of CloudFormation stacks, a call a stack.
func (w *world) outputs(ctx context.Context, list []project.Lookup, r *resolution) error {
	r.values = map[string]string{}
	byStack := map[string][]project.Lookup{}
	for _, l := range list {
		byStack[l.Stack] = append(byStack[l.Stack], l)
	}
	for _, stack := range union(byStack) {
		out, err := w.Cloud.CloudFormation.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(stack)})
		// CloudFormation's code for a stack that is not there.
		if cloud.Code(err) == "ValidationError" || err == nil && len(out.Stacks) == 0 {
			for _, l := range byStack[stack] {
				r.missing(l, "", "no CloudFormation stack %s in %s", stack, w.region)
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("describe CloudFormation stack %s: %w", stack, err)
		}
		given := map[string]string{}
		for _, o := range out.Stacks[0].Outputs {
			given[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
		}
		for _, l := range byStack[stack] {
			value, ok := given[l.Output]
			if !ok {
				r.missing(l, diag.DidYouMean(l.Output, union(given)), "stack %s has no output %s", stack, l.Output)
				continue
			}
			r.values[l.Expr] = value
		}
	}
	return nil
}

// elsewhere reads the resources of other environments: of each kind that is
// asked for all of an environment in one call.
func (w *world) elsewhere(ctx context.Context, list []project.Lookup, others map[string]otherEnvironment, r *resolution) error {
	r.values = map[string]string{}
	byEnvironment := map[string][]project.Lookup{}
	for _, l := range list {
		byEnvironment[l.Environment] = append(byEnvironment[l.Environment], l)
	}
	if len(list) > 0 && w.Elsewhere == nil {
		return fail.Inputf("values of other environments cannot be looked up here: %s", list[0])
	}
	for _, name := range union(byEnvironment) {
		topology, c, err := w.Elsewhere(ctx, name)
		if err == nil {
			others[name] = otherEnvironment{topology, c}
			err = w.other(ctx, name, others[name], byEnvironment[name], r)
		}
		if err != nil {
			return fmt.Errorf("environment %s: %w", name, err)
		}
	}
	return nil
}

func (w *world) other(ctx context.Context, name string, there otherEnvironment, list []project.Lookup, r *resolution) error {
	var kinds []string
	for _, l := range list {
		kinds = append(kinds, l.Ref.Kind)
	}
	kinds = withOwners(there.topology, kinds)
	o, err := newWorld(Options{Project: w.Project, Topology: only(there.topology, kinds), Cloud: there.cloud})
	if err != nil {
		return err
	}
	if err := o.readKinds(ctx, kinds); err != nil {
		return err
	}
	if err := o.readAdopted(ctx); err != nil {
		return err
	}
	for _, l := range list {
		f := o.there(l.Ref)
		if f == nil && w.mayComeLater(l) {
			r.values[l.Expr] = ""
			w.later = append(w.later, fmt.Sprintf("%s waits for environment %s to have %s: launch %s, and then this one again", l, name, l.Ref.Address, name))
			continue
		}
		if f == nil {
			r.missing(l, "launch "+name+" first", "%s is not there in environment %s", l.Ref.Address, name)
			continue
		}
		value, _ := f.attribute(l.Ref.Attribute)
		r.values[l.Expr] = value
	}
	return nil
}

// mayComeLater tells whether a definition can do without a value for now: a
// route through a connection that another environment is going to make, which
// it cannot before this one's VPC is there.
func (w *world) mayComeLater(l project.Lookup) bool {
	if l.Ref.Kind != "vpc_peering" {
		return false
	}
	for _, r := range w.resources() {
		if r.Kind != "route_table" && slices.ContainsFunc(r.Lookups, func(o project.Lookup) bool { return o.Expr == l.Expr }) {
			return false
		}
	}
	return true
}

// only leaves the definitions of some kinds of a topology.
func only(t *project.Topology, kinds []string) *project.Topology {
	c := *t
	c.Resources = slices.DeleteFunc(slices.Clone(t.Resources), func(r *project.Resource) bool { return !has(kinds, r.Kind) })
	return &c
}

// there is what there is of a definition; nil for nothing.
func (w *world) there(ref project.Ref) *found {
	r := w.book.definition(w.Topology, ref.Address)
	if r == nil {
		return nil
	}
	if r.Adopt != nil {
		return w.adopted[r.UUID]
	}
	if list := w.inventory.of(r.UUID, r.Address, r.Kind); len(list) > 0 {
		return list[0]
	}
	return nil
}

// numberedZones are the region's zones, where definitions take them by number.
// In the order of names whatever their state, so that a definition keeps its
// zone.
func (w *world) numberedZones(ctx context.Context) ([]string, error) {
	n := w.Topology.Zones()
	if n == 0 {
		return nil, nil
	}
	zones, err := w.regionZones(ctx)
	if err != nil {
		return nil, err
	}
	if len(zones) < n {
		return nil, fail.Inputf("the definitions take %d zones, and region %s has %d: %s", n, w.region, len(zones), strings.Join(zones, ", "))
	}
	return zones, nil
}

// regionZones are the names of the region's availability zones; local zones and
// the like are none.
func (w *world) regionZones(ctx context.Context) ([]string, error) {
	out, err := w.Cloud.EC2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{Filters: []types.Filter{cloud.Filter("region-name", w.region)}})
	if err != nil {
		return nil, fmt.Errorf("describe the zones of %s: %w", w.region, err)
	}
	var zones []string
	for _, z := range out.AvailabilityZones {
		if kind := aws.ToString(z.ZoneType); kind == "" || kind == "availability-zone" {
			zones = append(zones, aws.ToString(z.ZoneName))
		}
	}
	sort.Strings(zones)
	return zones, nil
}

// Elsewhere is Options.Elsewhere for a project whose clouds a provider opens.
func Elsewhere(p *project.Project, provider *cloud.Provider, vars map[string]string) func(context.Context, string) (*project.Topology, *cloud.Cloud, error) {
	return func(ctx context.Context, environment string) (*project.Topology, *cloud.Cloud, error) {
		env, err := p.Environment(environment)
		if err != nil {
			return nil, nil, err
		}
		topology, err := p.Topology(environment, vars)
		if err != nil {
			return nil, nil, err
		}
		c, err := provider.For(ctx, cloud.Target{Account: env.Account, Region: env.Region, Role: env.Role})
		return topology, c, err
	}
}
