package bake

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Orphan is something temporary that a bake made and that is still there, and
// whether it may be removed.
type Orphan struct {
	Kind    string    `json:"kind"` // EC2's resource type: instance, volume, key-pair, ...; or iam-role, iam-instance-profile
	ID      string    `json:"id"`
	Account string    `json:"account"`
	Region  string    `json:"region"` // "global" of what IAM holds
	Image   string    `json:"image"`  // the recipe whose bake made it
	Run     string    `json:"run"`
	Created time.Time `json:"created"` // zero where EC2 doesn't say
	Expires time.Time `json:"expires"` // zero where no tag says
	Remove  bool      `json:"remove"`  // it is proved to be nobody's
	Why     string    `json:"why"`     // that it counts as an orphan, or that it is left
	Removed bool      `json:"removed"`

	arn  string // of an instance profile
	tags map[string]string
	seen bool // it is still there
	// users are orphans that use it, and that have to go first.
	users []string
}

// String is what it is called in messages.
func (o Orphan) String() string { return o.Kind + " " + o.ID }

// sweeper finds and removes what bakes of a project left in one account and
// region.
type sweeper struct {
	cloud   *cloud.Cloud
	project string
	// dead and alive tell what is known of a run on this machine. Of most runs it
	// is neither: then the expiry decides. Either may be nil.
	dead, alive func(run string) bool
	thorough    bool          // look for what may stay, too, and for images that AWS gave up
	finishing   bool          // the next step finishes AMIs that were not tested to the end
	olderThan   time.Duration // what is younger is left
	told        func(Orphan)  // hears of what was removed
	others      int           // temporary things of other projects, found by the last find
}

// sweptKinds are the kinds of resource that a bake makes, as EC2 tags them.
var sweptKinds = []string{"instance", "volume", "security-group", "key-pair", "image", "snapshot"}

// find lists what is temporary and this project's, removable or not. Unless it
// is to be thorough it is silent, and makes one call, where nothing can be
// removed.
func (s *sweeper) find(ctx context.Context) ([]Orphan, error) {
	kinds := sweptKinds
	if !s.thorough {
		// Volumes stand for instances, which keep their tags for an hour after they
		// are terminated, when there is nothing to do any more.
		kinds = sweptKinds[1:]
	}
	all, err := s.temporary(ctx, kinds)
	if err != nil {
		return nil, err
	}
	if !s.thorough {
		if !slices.ContainsFunc(all, func(o Orphan) bool { return o.Remove }) {
			return nil, nil
		}
		if all, err = s.temporary(ctx, sweptKinds); err != nil {
			return nil, err
		}
	} else if all, err = s.addFailed(ctx, all); err != nil {
		return nil, err
	}
	if all, err = s.look(ctx, all); err != nil {
		return nil, err
	}
	sortOrphans(all)
	return all, nil
}

// temporary lists what carries an expiry and is this project's, judged by its
// tags.
func (s *sweeper) temporary(ctx context.Context, kinds []string) ([]Orphan, error) {
	found, err := s.tagged(ctx, cloud.Filter("key", tags.Expires), cloud.Filter("resource-type", kinds...))
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, o := range found {
		if s.thorough || s.dead != nil || !fresh(o) {
			ids = append(ids, o.ID)
		}
	}
	var all []Orphan
	s.others = 0
	err = cloud.Batches(ids, 200, func(ids []string) error {
		full, err := s.tagged(ctx, cloud.Filter("resource-id", ids...))
		for _, o := range full {
			if o.tags[tags.Project] != s.project {
				s.others++
				continue
			}
			s.judge(&o)
			all = append(all, o)
		}
		return err
	})
	return all, err
}

// tagged gives what DescribeTags finds, by resource.
func (s *sweeper) tagged(ctx context.Context, filters ...types.Filter) ([]Orphan, error) {
	index := map[string]int{}
	var found []Orphan
	pages := ec2.NewDescribeTagsPaginator(s.cloud.EC2, &ec2.DescribeTagsInput{Filters: filters, MaxResults: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, t := range page.Tags {
			id := aws.ToString(t.ResourceId)
			i, ok := index[id]
			if !ok {
				i = len(found)
				index[id] = i
				found = append(found, Orphan{ID: id, Kind: string(t.ResourceType), Account: s.cloud.Account, Region: s.cloud.Region, tags: map[string]string{}})
			}
			found[i].tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
	}
	return found, nil
}

// judge decides by the tags alone: an orphan is a bake's, temporary, and its run
// is known to have ended here, or its time is over.
func (s *sweeper) judge(o *Orphan) {
	o.Image, o.Run = o.tags[tags.Image], o.tags[tags.Run]
	expires, err := time.Parse(time.RFC3339, o.tags[tags.Expires])
	if err == nil {
		o.Expires = expires.UTC()
	}
	switch {
	case o.Image == "" || o.Run == "":
		o.Why = "no bake tagged it: image or run is missing"
	case o.tags[tags.Address] != "":
		o.Why = "it was launched as " + o.tags[tags.Address]
	case s.alive != nil && s.alive(o.Run):
		o.Why = "run " + o.Run + " goes on"
	case o.tags[tags.Step] != "" && fresh(*o):
		o.Why = "bakes of " + o.Image + " start from it until " + o.Expires.Format(time.RFC3339)
	case s.keepsCandidate(*o):
		o.Why = "the next bake of " + o.Image + " with the same inputs finishes it"
	case s.dead != nil && s.dead(o.Run):
		o.Remove, o.Why = true, "run "+o.Run+" has ended"
	case err != nil:
		o.Why = fmt.Sprintf("its expiry %q is no time", o.tags[tags.Expires])
	case fresh(*o):
		o.Why = "not expired: its run may go on elsewhere until " + o.Expires.Format(time.RFC3339)
	default:
		o.Remove, o.Why = true, "expired "+ago(time.Since(expires))
	}
}

// fresh tells whether the time of something is not over yet.
func fresh(o Orphan) bool {
	at, err := time.Parse(time.RFC3339, o.tags[tags.Expires])
	return err == nil && !time.Now().After(at)
}

// keepsCandidate tells whether an AMI that has not passed its tests is left to
// the bake that finishes it.
func (s *sweeper) keepsCandidate(o Orphan) bool {
	return o.tags[tags.Candidate] != "" && (s.finishing || fresh(o))
}

func ago(d time.Duration) string {
	if d < time.Minute {
		return "a moment ago"
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s") + " ago"
}

// keep says why something is left after all.
func (o *Orphan) keep(format string, args ...any) {
	if o.Remove {
		o.Remove, o.Why = false, fmt.Sprintf(format, args...)
	}
}

// sortOrphans puts them in the order in which they are removed, and shown.
func sortOrphans(all []Orphan) {
	rank := map[string]int{}
	for i, kind := range append(slices.Clone(sweptKinds), profileKind, roleKind) {
		rank[kind] = i
	}
	sort.SliceStable(all, func(i, j int) bool {
		if a, b := rank[all[i].Kind], rank[all[j].Kind]; a != b {
			return a < b
		}
		return all[i].ID < all[j].ID
	})
}
