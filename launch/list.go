package launch

import (
	"cmp"
	"context"
	"fmt"
	"sort"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Instances lists the instances that carry the environment's tags and are not
// terminated, those of its Auto Scaling groups among them, in one paginated
// call. They tell by their tags what they run.
func Instances(ctx context.Context, o Options) ([]Instance, error) {
	w, err := newWorld(o)
	if err != nil {
		return nil, err
	}
	q := w.scope()
	q.specs = nil // nothing beyond what one call gives
	list, err := instances{}.list(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("describe the instances of %s: %w", w.environment, err)
	}
	var all []*found
	for _, i := range list {
		if f := (&found{kind: of(instances{}), state: instances{}.read(i), raw: i}); !f.gone && (!f.elsewhere() || f.tags[tags.ScalingGroup] != "") {
			all = append(all, f)
		}
	}
	return shown(all), nil
}

// shown gives instances for users, in the order of addresses.
func shown(list []*found) []Instance {
	all := []Instance{}
	for _, f := range list {
		i, ok := f.raw.(instance)
		if !ok {
			continue
		}
		set := f.tags
		all = append(all, Instance{
			Address: cmp.Or(set[tags.Address], f.identity.address), ID: f.id, Image: set[tags.Image], AMI: aws.ToString(i.ImageId), Version: set[tags.Version],
			State: string(stateOf(i.Instance)), PrivateIP: aws.ToString(i.PrivateIpAddress), PublicIP: aws.ToString(i.PublicIpAddress),
			Launched: aws.ToTime(i.LaunchTime), UUID: f.uuid(),
		})
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].Address != all[j].Address {
			return all[i].Address < all[j].Address
		}
		return all[i].ID < all[j].ID
	})
	return all
}

func notInstance(p *planner, address string) error {
	var addresses []string
	for _, it := range p.items {
		if _, ok := it.spec.(*instanceSpec); ok {
			addresses = append(addresses, it.Address)
		}
	}
	err := fail.Inputf("%s has no instance %s", p.environment, address)
	if hint := diag.DidYouMean(address, addresses); hint != "" {
		return fail.WithHint(err, "%s", hint)
	}
	return err
}

// Addresses are the IP addresses at which an instance may be reached: the
// private one first.
func (i Instance) Addresses() []string {
	var ips []string
	for _, ip := range []string{i.PrivateIP, i.PublicIP} {
		if ip != "" {
			ips = append(ips, ip)
		}
	}
	return ips
}
