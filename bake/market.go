package bake

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// offer is one way in which the builder may be launched.
type offer struct {
	kind   string // instance type
	spot   bool
	subnet string // "" for the recipe's, or for EC2 to choose
}

func (o offer) String() string {
	text := o.kind
	if o.spot {
		text += " spot"
	}
	if o.subnet != "" {
		text += " in " + o.subnet
	}
	return text
}

// offersOf lists how the builder of a recipe whose source image has an
// architecture may be launched, the first choice first:
// spot instances of its types, then, where spot_price is auto and thus sets no
// limit, an on-demand instance.
func offersOf(image *project.Image, architecture string) []offer {
	plain := offer{kind: orText(image.InstanceType, defaultType(architecture))}
	if !wantsSpot(image) {
		return []offer{plain}
	}
	var offers []offer
	kinds := image.SpotInstanceTypes
	if len(kinds) == 0 {
		kinds = []string{plain.kind}
	}
	for _, kind := range kinds {
		offers = append(offers, offer{kind: kind, spot: true})
	}
	if !fixedPrice(image) {
		if image.InstanceType == "" {
			plain.kind = kinds[0]
		}
		offers = append(offers, plain)
	}
	return offers
}

// wantsSpot tells whether a recipe asks for a spot instance.
func wantsSpot(image *project.Image) bool {
	return image.SpotPrice != "" && image.SpotPrice != "0" || len(image.SpotInstanceTypes) > 0
}

// fixedPrice tells whether a recipe says what a spot instance may cost.
func fixedPrice(image *project.Image) bool {
	price, err := strconv.ParseFloat(image.SpotPrice, 64)
	return err == nil && price > 0
}

// launch launches an instance by the first offer that there is capacity for;
// and if there is for none, and the zone is EC2's to choose, zone by zone.
func (b *bake) launch(ctx context.Context, in *ec2.RunInstancesInput, offers []offer) error {
	err := b.launchOne(ctx, in, offers)
	if !cloud.NoCapacity(err) || ctx.Err() != nil {
		return err
	}
	zonal, lookErr := b.zonal(ctx, offers)
	if lookErr == nil && len(zonal) > 0 {
		err = b.launchOne(ctx, in, zonal)
	}
	if cloud.NoCapacity(err) {
		err = fail.WithHint(err, "try another instance_type, availability_zone or subnet_id in %s", b.image.File)
	}
	return err
}

// zonal are the offers in each of the default VPC's zones, or none where the
// recipe says where the builder goes.
func (b *bake) zonal(ctx context.Context, offers []offer) ([]offer, error) {
	if b.subnet != "" || b.vpcID != "" || b.image.AvailabilityZone != "" {
		return nil, nil
	}
	out, err := b.cloud.EC2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []types.Filter{cloud.Filter("default-for-az", "true")}})
	if err != nil {
		return nil, err
	}
	var all []offer
	for _, o := range offers {
		for _, subnet := range out.Subnets {
			o.subnet = aws.ToString(subnet.SubnetId)
			all = append(all, o)
		}
	}
	return all, nil
}

func (b *bake) launchOne(ctx context.Context, in *ec2.RunInstancesInput, offers []offer) error {
	var err error
	for n, o := range offers {
		if err := ctx.Err(); err != nil {
			return err
		}
		if n > 0 {
			b.say(event.Warning, "%v; trying %s", err, o)
		}
		var bid *ec2.RunInstancesInput
		if bid, err = b.bid(in, o); err != nil {
			return err
		}
		if err = b.runBuilder(ctx, bid); !cloud.NoCapacity(err) {
			b.spot = o.spot
			return err
		}
	}
	return err
}

// bid is the call for an offer.
func (b *bake) bid(in *ec2.RunInstancesInput, o offer) (*ec2.RunInstancesInput, error) {
	bid := *in
	bid.InstanceType = types.InstanceType(o.kind)
	// The same for every repetition of this one call and for no other: an
	// earlier attempt's builder, terminated since, still holds its own.
	bid.ClientToken = aws.String(digestOf(b.options.Run, b.image.Name, b.fingerprint, b.started.Format(time.RFC3339Nano), o.String(), aws.ToString(in.ImageId))[:32])
	if o.subnet != "" {
		if len(bid.NetworkInterfaces) > 0 {
			card := bid.NetworkInterfaces[0]
			card.SubnetId = aws.String(o.subnet)
			bid.NetworkInterfaces = []types.InstanceNetworkInterfaceSpecification{card}
		} else {
			bid.SubnetId = aws.String(o.subnet)
		}
	}
	if !o.spot {
		return &bid, nil
	}
	own, err := b.renderTags("spot_tags", b.image.SpotTags)
	if err != nil {
		return nil, err
	}
	terms := &types.SpotMarketOptions{SpotInstanceType: types.SpotInstanceTypeOneTime, InstanceInterruptionBehavior: types.InstanceInterruptionBehaviorTerminate}
	if fixedPrice(b.image) {
		terms.MaxPrice = aws.String(b.image.SpotPrice)
	}
	bid.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot, SpotOptions: terms}
	bid.TagSpecifications = append(append([]types.TagSpecification(nil), in.TagSpecifications...), cloud.TagSpec(types.ResourceTypeSpotInstancesRequest, b.temporary(own)))
	return &bid, nil
}

func (b *bake) runBuilder(ctx context.Context, in *ec2.RunInstancesInput) error {
	ctx, cancel := outlive(ctx)
	defer cancel()
	b.builder.tried = true
	var lost error
	err := visible(ctx, func(ctx context.Context) error {
		out, err := b.cloud.EC2.RunInstances(ctx, in)
		if err != nil {
			err = fmt.Errorf("launch %s(%s): %w", b.called(), in.InstanceType, err)
			if b.lacksBase(err) {
				lost = err // which no waiting brings back
				return nil
			}
			return err
		}
		if len(out.Instances) == 0 {
			return fmt.Errorf("launch %s(%s): EC2 answered without an instance", b.called(), in.InstanceType)
		}
		b.instance = out.Instances[0]
		b.builder.id = aws.ToString(b.instance.InstanceId)
		b.useGroup(b.builder.id, false)
		b.tell(event.Created, b.builder.id, "%s (%s) from %s", b.called(), in.InstanceType, aws.ToString(in.ImageId))
		return nil
	})
	if lost != nil {
		return lost
	}
	return err
}

// deadline is how long a wait for AWS may take: what aws_polling comes to, or
// the usual.
func (b *bake) deadline(usual time.Duration) time.Duration {
	p := b.image.AWSPolling
	if p == nil || p.MaxAttempts == 0 {
		return usual
	}
	delay := p.DelaySeconds
	if delay == 0 {
		delay = 15
	}
	return time.Duration(delay) * time.Duration(p.MaxAttempts) * time.Second
}
