package promote

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// longestTag is how much of a reason a tag holds, in characters:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html
const longestTag = 255

// Revocation is what became of a build that is to be used no more.
type Revocation struct {
	Image   string   `json:"image"`
	Version string   `json:"version"`
	Reason  string   `json:"reason"`
	AMIs    []string `json:"amis"` // the build and its copies
	// Current are the environments in which it is current, and Running what runs it.
	Current []Standing   `json:"current"`
	Running []Deployment `json:"running"`
	// GoingBack are environments that an earlier run had begun to take back from it:
	// another build is current there, and was not launched in its place.
	GoingBack []Standing `json:"going_back,omitempty"`
	// Lagging are environments in which it is not current, but that show it in a
	// further region.
	Lagging []Standing `json:"lagging,omitempty"`
}

// Revoke marks a build, with its copies in all accounts and regions that the
// caller gets into, so that it is neither promoted nor launched any more. It
// stops nothing that runs. Revoking again changes the reason. LeftOut tells where the
// build may be, and is not revoked.
func (p *Promoter) Revoke(ctx context.Context, ami, reason string) (Revocation, error) {
	if reason = strings.TrimSpace(reason); reason == "" {
		return Revocation{}, fail.WithHint(fail.Inputf("revoke %s: a reason is needed", ami), `say why: --reason "..."`)
	}
	reason = string([]rune(reason)[:min(len([]rune(reason)), longestTag)])
	places, err := p.reachable(ctx)
	if err != nil {
		return Revocation{}, err
	}
	b, err := p.anywhere(ctx, places, ami)
	if err != nil {
		return Revocation{}, fmt.Errorf("revoke: %w", err)
	}
	r := Revocation{Image: b.Image, Version: b.Version, Reason: reason, AMIs: []string{}, Current: []Standing{}, Running: []Deployment{}}
	err = p.eachAMI(ctx, places, b, func(s *stock, there BuildInfo) error { return p.revoke(ctx, s, there, &r) })
	if err != nil {
		return r, fail.Dirty(fmt.Errorf("revoke %s: %w", ami, err), fail.Left{What: "AMIs of " + b.Ref().String() + " that are not revoked yet", Command: "goldline images revoke " + ami})
	}
	for _, in := range places {
		if err := p.affected(ctx, in, b, &r); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (p *Promoter) revoke(ctx context.Context, s *stock, b BuildInfo, r *Revocation) error {
	_, err := s.cloud.EC2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: b.ids(), Tags: cloud.Tags(map[string]string{tags.Revoked: r.Reason})})
	if err != nil {
		return fmt.Errorf("tag %s: %w", b.AMI, err)
	}
	s.forget()
	r.AMIs = withAll(r.AMIs, b.ids())
	event.Scope(p.sink, "", b.Image).Emit(event.Event{Kind: event.Changed, Message: fmt.Sprintf("%s is revoked in %s of account %s", b.Ref(), s.cloud.Region, s.cloud.Account), Fields: map[string]string{"ami": b.AMI}})
	return nil
}

// withAll adds to a list what is not in it yet: what is shared is seen in several
// accounts.
func withAll(list, more []string) []string {
	for _, one := range more {
		if !slices.Contains(list, one) {
			list = append(list, one)
		}
	}
	return list
}

// affected notes where a build is current and what runs it.
func (p *Promoter) affected(ctx context.Context, in *place, b BuildInfo, r *Revocation) error {
	s, err := p.standing(ctx, in, b.Image)
	if err != nil {
		return err
	}
	there, ok, err := in.stock.counterpart(ctx, b)
	if err != nil {
		return err
	}
	current := ok && there.has(s.AMI)
	if current {
		r.Current = append(r.Current, s)
	}
	for i, beside := range in.further {
		copied, is, err := beside.stock.counterpart(ctx, b)
		if err != nil {
			return beside.wrong(err)
		}
		if is && !current && copied.has(s.Regions[i].AMI) {
			r.Lagging = append(r.Lagging, s)
			break
		}
	}
	if !ok {
		return nil
	}
	deployed, err := p.deployed(ctx, in)
	if err != nil {
		return err
	}
	runs := false
	for _, d := range deployed {
		if there.has(d.AMI) {
			r.Running, runs = append(r.Running, d), true
		}
	}
	if current || !runs {
		return nil
	}
	_, unfinished, err := p.Unfinished(ctx, b.Image, in.env.Name)
	if unfinished {
		r.GoingBack = append(r.GoingBack, s)
	}
	return err
}

// anywhere finds a build by its AMI, wherever the project's environments lie.
func (p *Promoter) anywhere(ctx context.Context, places []*place, ami string) (BuildInfo, error) {
	places = everywhere(places)
	for _, in := range places {
		builds, err := in.stock.all(ctx)
		if err != nil {
			return BuildInfo{}, err
		}
		for _, b := range builds {
			if b.has(ami) && !b.seenAtHome(places) {
				return b, nil
			}
		}
	}
	return BuildInfo{}, fail.WithHint(fail.Inputf("project %s has no build %s", p.project.Name, ami), "goldline images list shows them all")
}
