package launch

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Elastic Load Balancing filters nothing by tags. All load balancers and target
// groups of the region are read, a page of 400 a call, and their tags, 20 a
// call; then the listeners and rules of those that count, which it gives only
// by load balancer and by listener.

type elbReadAPI interface {
	elb.DescribeLoadBalancersAPIClient
	elb.DescribeTargetGroupsAPIClient
	elb.DescribeListenersAPIClient
	elb.DescribeRulesAPIClient
	DescribeTags(context.Context, *elb.DescribeTagsInput, ...func(*elb.Options)) (*elb.DescribeTagsOutput, error)
}

const (
	elbPageSize = 400
	// maxELBTagged is how many resources one call about tags takes.
	maxELBTagged = 20
	// maxELBName is how long the names of load balancers and target groups may
	// be: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
	maxELBName = 32
)

// frontKinds are the kinds of Elastic Load Balancing.
var frontKinds = []string{"load_balancer", "target_group", "listener", "listener_rule"}

// front is what a region has of load balancers and target groups, whoever's
// they are: names are taken once in the region.
type front struct {
	balancers []types.LoadBalancer
	groups    []types.TargetGroup
	tags      map[string]map[string]string // by ARN
}

// front reads load balancers and target groups.
func (q query) front(ctx context.Context) (*front, error) {
	return recall(q.memo, "elb front", func() (*front, error) {
		f := &front{}
		var api elbReadAPI = q.cloud.ELB
		err := graph.Each(ctx, 0, 2, func(ctx context.Context, i int) error {
			if i == 0 {
				pages := elb.NewDescribeLoadBalancersPaginator(api, &elb.DescribeLoadBalancersInput{PageSize: aws.Int32(elbPageSize)})
				return elbEach(ctx, pages, func(page *elb.DescribeLoadBalancersOutput) { f.balancers = append(f.balancers, page.LoadBalancers...) })
			}
			pages := elb.NewDescribeTargetGroupsPaginator(api, &elb.DescribeTargetGroupsInput{PageSize: aws.Int32(elbPageSize)})
			return elbEach(ctx, pages, func(page *elb.DescribeTargetGroupsOutput) { f.groups = append(f.groups, page.TargetGroups...) })
		})
		if err != nil {
			return nil, q.unlessUnused(err, frontKinds...)
		}
		var arns []string
		for _, b := range f.balancers {
			arns = append(arns, aws.ToString(b.LoadBalancerArn))
		}
		for _, g := range f.groups {
			arns = append(arns, aws.ToString(g.TargetGroupArn))
		}
		f.tags, err = elbTags(ctx, api, arns)
		return f, err
	})
}

// elbEach is each for the paginators of Elastic Load Balancing.
func elbEach[O any](ctx context.Context, p interface {
	HasMorePages() bool
	NextPage(ctx context.Context, options ...func(*elb.Options)) (O, error)
}, take func(O)) error {
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		take(page)
	}
	return nil
}

// elbTags reads the tags of resources. One of them that is gone meanwhile fails
// the call for all: then each is asked for alone.
func elbTags(ctx context.Context, api elbReadAPI, arns []string) (map[string]map[string]string, error) {
	all := map[string]map[string]string{}
	ask := func(arns []string) error {
		out, err := api.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: arns})
		if err != nil {
			return err
		}
		for _, d := range out.TagDescriptions {
			all[aws.ToString(d.ResourceArn)] = elbTagSet(d.Tags)
		}
		return nil
	}
	err := cloud.Batches(arns, maxELBTagged, func(arns []string) error {
		err := ask(arns)
		if !cloud.NotFound(err) {
			return err
		}
		for _, arn := range arns {
			if err := ask([]string{arn}); err != nil && !cloud.NotFound(err) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("describe the tags of load balancers: %w", err)
	}
	return all, nil
}

// covers tells whether a query is about a resource with given tags: what is
// adopted carries any.
func (q query) covers(set map[string]string) bool {
	return len(q.adopting) > 0 || q.importing || set[tags.Project] == q.world.Project && set[tags.Environment] == q.world.environment
}

// frontOf reads load balancers and target groups, none where no definition is
// about them and the caller may not: instances are listed all the same.
func (q query) frontOf(ctx context.Context) (*front, error) {
	f, err := q.front(ctx)
	if errors.Is(err, errUnused) {
		return &front{}, nil
	}
	return f, err
}

// statedWith is the definition of a resource with given tags and name, or an
// empty one.
func statedWith[S any](q query, set map[string]string, name string) *S {
	if q.importing {
		return everything[S]()
	}
	if s, ok := q.specs[set[tags.UUID]].(*S); ok {
		return s
	}
	for _, r := range q.adopting {
		if given, ok := r.Adopt.Keys["name"]; carries(set, r.Adopt) && (!ok || given == name) {
			if s, ok := r.Spec.(*S); ok {
				return s
			}
		}
	}
	return new(S)
}

// elbTagList is a set of tags as Elastic Load Balancing takes it.
func elbTagList(set map[string]string) []types.Tag {
	set = tags.Plain(set)
	var list []types.Tag
	for _, k := range tags.Keys(set) {
		list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(set[k])})
	}
	return list
}

// elbTagSet is the reverse.
func elbTagSet(list []types.Tag) map[string]string {
	set := map[string]string{}
	for _, t := range list {
		set[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags.FromPlain(set)
}

// elbBirth are the tags for a call that makes something there.
func (t *task) elbBirth() []types.Tag {
	set := t.birthSet()
	if t.generation > 1 {
		set[tags.Generation] = strconv.Itoa(t.generation)
	}
	return elbTagList(set)
}

type elbTagAPI interface {
	AddTags(context.Context, *elb.AddTagsInput, ...func(*elb.Options)) (*elb.AddTagsOutput, error)
}

func elbRetag[R any](ctx context.Context, c *cloud.Cloud, have []R, arn func(R) *string, set map[string]string) error {
	var api elbTagAPI = c.ELB
	var arns []string
	for _, r := range have {
		arns = append(arns, aws.ToString(arn(r)))
	}
	return cloud.Batches(arns, maxELBTagged, func(arns []string) error {
		_, err := api.AddTags(ctx, &elb.AddTagsInput{ResourceArns: arns, Tags: elbTagList(set)})
		return err
	})
}

var elbNameForm = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$`)

// checkELBName checks a name that a definition gives.
func checkELBName(c *checker, r *project.Resource, path, name string) {
	switch {
	case name == "":
	case unresolved(name):
		c.problems.Addf(r.At(path), "the name of %s cannot be made of what a launch makes", article(r.Kind))
	case len(name) > maxELBName:
		c.problems.Addf(r.At(path), "%s is %d characters long: Elastic Load Balancing takes %d", path, len(name), maxELBName)
	case !elbNameForm.MatchString(name):
		c.problems.AddHint(r.At(path), "letters, digits and dashes, none at its ends", "%q is no name of %s", name, article(r.Kind))
	case strings.HasPrefix(name, "internal-"):
		c.problems.Addf(r.At(path), "the name of %s cannot begin with internal-: that is how AWS names internal ones", article(r.Kind))
	}
}

// elbResourceName is the name of what is made: the given one, or one of its
// own for each generation, since a predecessor keeps its name for a while.
func elbResourceName(w *world, r *project.Resource, given string, generation int) string {
	if given != "" {
		return given
	}
	if name := resourceName(w.Project, w.environment, r, generation, maxELBName); !strings.HasPrefix(name, "internal-") {
		return name
	}
	return "x-" + resourceName(w.Project, w.environment, r, generation, maxELBName-len("x-"))
}

// refuseTaken says that the name of what is to be made is taken already:
// Elastic Load Balancing gives a resource of the same name and settings for a
// new one, whoever's it is.
func refuseTaken(w *world, r *project.Resource, given string, taken func(*front) map[string]string) error {
	if r.Adopt != nil || len(w.inventory.of(r.UUID, r.Address, r.Kind)) > 0 || !w.selected(r) {
		return nil
	}
	name := elbResourceName(w, r, given, w.inventory.generations[r.UUID]+1)
	f, _ := remembers[*front](w.memo, "elb front")
	if f == nil {
		return nil
	}
	arn, ok := taken(f)[name]
	if !ok || w.ours(arn) {
		return nil
	}
	return fmt.Errorf("the name %s is taken by %s, which is not of this environment; give the definition a %s of its own, or adopt that one", name, arn, r.Kind+"_name")
}

// attributePath is where a definition states an attribute: at a key of its own,
// or among all others.
func attributePath(own map[string]string, key string) string {
	if path := own[key]; path != "" {
		return path
	}
	return "attributes." + key
}

// compareAttributes compares the attributes that a definition states.
func compareAttributes(d *differences, have, want, own map[string]string) {
	for _, key := range union(want) {
		d.set(attributePath(own, key), have[key], want[key])
	}
}

// changedAttributes are the attributes among differences.
func changedAttributes(d differences, want, own map[string]string) map[string]string {
	set := map[string]string{}
	for key, value := range want {
		if d.has(attributePath(own, key)) {
			set[key] = value
		}
	}
	return set
}

// checkAttributes reports attributes that there are none of, and those that
// have a key of their own.
func checkAttributes(c *checker, r *project.Resource, given map[string]string, own map[string]string, known []string) {
	for _, key := range union(given) {
		at := r.At("attributes." + key)
		switch {
		case own[key] != "":
			top, _, _ := strings.Cut(own[key], ".")
			c.problems.AddHint(at, "say "+top, "the attribute %s has a key of its own", key)
		case !slices.Contains(known, key):
			c.problems.AddHint(at, diag.DidYouMean(key, known), "%s has no attribute %s", article(r.Kind), key)
		}
	}
}
