package promote

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/tags"
)

// List gives the builds of an image, or of all when it is empty, by image and
// then the newest first, wherever the project's environments lie. An account
// that the caller does not get into is told of and passed over, unless it is
// every one.
func (p *Promoter) List(ctx context.Context, image string) ([]BuildInfo, error) {
	if image != "" {
		if err := p.known(image); err != nil {
			return nil, err
		}
	}
	places, err := p.reachable(ctx)
	if err != nil {
		return nil, err
	}
	if places, err = p.answering(ctx, everywhere(places)); err != nil {
		return nil, err
	}
	all, seen := []BuildInfo{}, map[string]bool{}
	for _, in := range places {
		builds, err := in.stock.all(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range builds {
			if seen[b.AMI] || b.seenAtHome(places) {
				continue
			}
			seen[b.AMI] = true
			if image == "" || b.Image == image {
				all = append(all, b)
			}
		}
	}
	for _, in := range places {
		pointers, err := in.current(ctx)
		if err != nil {
			return nil, err
		}
		for i := range all {
			if all[i].has(pointers[all[i].Image].AMI) && all[i].Region == in.cloud.Region && !slices.Contains(all[i].Environments, in.env.Name) {
				all[i].Environments = append(slices.Clone(all[i].Environments), in.env.Name)
			}
		}
	}
	sort.SliceStable(all, func(i, j int) bool {
		if all[i].Image != all[j].Image {
			return all[i].Image < all[j].Image
		}
		return all[i].Created.After(all[j].Created)
	})
	return all, nil
}

// answering reads the builds and pointers of places. A further region that does not
// answer is told of and left out: the rest is worth knowing all the same, and most
// when a region is gone.
func (p *Promoter) answering(ctx context.Context, places []*place) ([]*place, error) {
	errs := make([]error, len(places))
	err := graph.Each(ctx, 0, len(places), func(ctx context.Context, i int) error {
		in := places[i]
		_, err := in.stock.all(ctx)
		if err == nil {
			_, err = in.current(ctx)
		}
		if !in.beside || ctx.Err() != nil {
			return err
		}
		errs[i] = err
		return nil
	})
	if err != nil {
		return nil, err
	}
	var answered []*place
	for i, in := range places {
		if errs[i] == nil {
			answered = append(answered, in)
			continue
		}
		p.sink.Emit(event.Event{Kind: event.Warning, Message: fmt.Sprintf("left out: region %s of environment %s: %v", in.cloud.Region, in.env.Name, errs[i])})
	}
	return answered, nil
}

// LeftOut is an environment that the caller does not get into.
type LeftOut struct {
	Environment string `json:"environment"`
	Reason      string `json:"reason"`
}

// LeftOut lists the environments that were passed over so far.
func (p *Promoter) LeftOut() []LeftOut {
	p.opened.mu.Lock()
	defer p.opened.mu.Unlock()
	return slices.Clone(p.opened.leftOut)
}

// reachable opens every environment that the caller gets into.
func (p *Promoter) reachable(ctx context.Context) ([]*place, error) {
	var places []*place
	var out []LeftOut
	var first error
	for _, env := range p.project.Environments() {
		in, err := p.place(ctx, env.Name)
		switch {
		case err == nil:
			places = append(places, in)
		case ctx.Err() != nil:
			return nil, err
		default:
			out = append(out, LeftOut{Environment: env.Name, Reason: err.Error()})
			if first == nil {
				first = err
			}
		}
	}
	if len(places) == 0 {
		if first != nil {
			return nil, first // the others say the same
		}
		return nil, fail.Inputf("the project has no environment")
	}
	p.opened.mu.Lock()
	defer p.opened.mu.Unlock()
	if len(p.opened.leftOut) == 0 {
		for _, one := range out {
			p.sink.Emit(event.Event{Kind: event.Warning, Message: "left out: " + one.Reason})
		}
	}
	p.opened.leftOut = out
	return places, nil
}

// Deployment is an instance that runs now.
type Deployment struct {
	Environment string `json:"environment"`
	Account     string `json:"account"`
	Region      string `json:"region"`
	Instance    string `json:"instance"`
	Address     string `json:"address"`
	Image       string `json:"image"`
	AMI         string `json:"ami"`
	// Architecture is the instance's.
	Architecture string    `json:"architecture"`
	Version      string    `json:"version"`
	State        string    `json:"state"`
	Since        time.Time `json:"since"`             // when it was launched
	Current      bool      `json:"current"`           // it runs the build that the pointer names
	Revoked      string    `json:"revoked,omitempty"` // why that build is used no more
}

// DeployedAnywhere gives what runs in every environment that the caller gets
// into, in their order.
func (p *Promoter) DeployedAnywhere(ctx context.Context) ([]Deployment, error) {
	places, err := p.reachable(ctx)
	if err != nil {
		return nil, err
	}
	all := []Deployment{}
	for _, in := range places {
		deployed, err := p.Deployed(ctx, in.env.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, deployed...)
	}
	return all, nil
}

// Deployed gives what runs in an environment, by address.
func (p *Promoter) Deployed(ctx context.Context, environment string) ([]Deployment, error) {
	in, err := p.place(ctx, environment)
	if err != nil {
		return nil, err
	}
	deployed, err := p.deployed(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("what runs in %s: %w", environment, err)
	}
	return deployed, nil
}

func (p *Promoter) deployed(ctx context.Context, in *place) ([]Deployment, error) {
	pointers, err := in.current(ctx)
	if err != nil {
		return nil, err
	}
	builds, err := in.stock.all(ctx)
	if err != nil {
		return nil, err
	}
	byAMI := map[string]BuildInfo{}
	for _, b := range builds {
		for _, ami := range b.ids() {
			byAMI[ami] = b
		}
	}
	deployed := []Deployment{}
	pages := ec2.NewDescribeInstancesPaginator(in.cloud.EC2, &ec2.DescribeInstancesInput{
		Filters: []types.Filter{
			cloud.Filter("tag:"+tags.Project, in.name), cloud.Filter("tag:"+tags.Environment, in.env.Name),
			cloud.Filter("tag-key", tags.Address), cloud.Filter("instance-state-name", "pending", "running", "stopping", "stopped"),
		},
		MaxResults: aws.Int32(1000),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				deployed = append(deployed, deployment(in, i, byAMI, pointers))
			}
		}
	}
	sort.Slice(deployed, func(i, j int) bool {
		if deployed[i].Address != deployed[j].Address {
			return deployed[i].Address < deployed[j].Address
		}
		return deployed[i].Instance < deployed[j].Instance
	})
	return deployed, nil
}

func deployment(in *place, i types.Instance, builds map[string]BuildInfo, pointers map[string]cloud.Pointer) Deployment {
	set := cloud.TagSet(i.Tags)
	d := Deployment{
		Environment: in.env.Name, Account: in.cloud.Account, Region: in.cloud.Region, Instance: aws.ToString(i.InstanceId), Address: set[tags.Address], AMI: aws.ToString(i.ImageId),
		Image: set[tags.Image], Version: set[tags.Version], Since: aws.ToTime(i.LaunchTime), Architecture: string(i.Architecture),
	}
	if i.State != nil {
		d.State = string(i.State.Name)
	}
	b, ok := builds[d.AMI]
	if ok {
		d.Image, d.Version, d.Revoked = b.Image, b.Version, b.Revoked
	}
	current := pointers[d.Image].AMI
	d.Current = current != "" && (current == d.AMI || ok && b.has(current))
	return d
}
