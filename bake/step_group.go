package bake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// securityGroupStep makes the temporary security group, which lets the caller
// alone in, to SSH and what is tested alone; or takes the recipe's groups.
type securityGroupStep struct{}

func (securityGroupStep) name() string { return "security group" }

func (securityGroupStep) run(ctx context.Context, b *bake) error {
	if len(b.groups) > 0 {
		return nil
	}
	cidrs, err := b.sourceCIDRs(ctx)
	if err != nil {
		return err
	}
	vpc, err := b.vpc(ctx)
	if err != nil {
		return err
	}
	b.group = b.sharing("security group", append([]string{vpc, fmt.Sprint(b.ports())}, cidrs...)...)
	err = b.group.join(ctx, func(ctx context.Context) error { return b.makeGroup(ctx, vpc, cidrs) })
	if err == nil {
		b.groups = []string{b.group.thing.id}
		return nil
	}
	if !errors.As(err, &joined{}) {
		b.group = nil
	}
	return err
}

// makeGroup makes the security group that bakes of this Baker share whose
// builders are reached alike.
func (b *bake) makeGroup(ctx context.Context, vpc string, cidrs []string) error {
	ctx, cancel := outlive(ctx)
	defer cancel()
	b.group.thing.tried = true
	id, err := b.createGroup(ctx, vpc)
	if err != nil {
		err = fmt.Errorf("temporary security group: %w", err)
		if code := cloud.Code(err); code == "VPCIdNotSpecified" || code == "DefaultVpcDoesNotExist" {
			err = fail.WithHint(err, "the region has no default VPC: give subnet_id in %s", b.image.File)
		}
		return err
	}
	b.group.thing.id = id
	b.tell(event.Created, id, "security group %s, open to %s", id, strings.Join(cidrs, ", "))
	if err := b.openGroup(ctx, cidrs); err != nil {
		return fmt.Errorf("temporary security group %s: let %s in: %w", id, strings.Join(cidrs, ", "), err)
	}
	return nil
}

// useGroup notes that a builder is in the temporary group, and whether it is
// being terminated.
func (b *bake) useGroup(builder string, ending bool) {
	if b.group == nil {
		return
	}
	b.Baker.mu.Lock()
	defer b.Baker.mu.Unlock()
	b.group.builders[builder] = ending
}

// vpc is where the group belongs; empty is the default VPC, which needs no
// call to find.
func (b *bake) vpc(ctx context.Context) (string, error) {
	if b.vpcID != "" || b.subnet == "" {
		return b.vpcID, nil
	}
	out, err := b.cloud.EC2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []types.Filter{cloud.Filter("subnet-id", b.subnet)}})
	if err != nil {
		return "", fmt.Errorf("subnet %s: %w", b.subnet, err)
	}
	if len(out.Subnets) == 0 {
		return "", fmt.Errorf("%s: subnet_id %s is not there in %s", b.image.At("subnet_id"), b.subnet, b.cloud.Region)
	}
	return aws.ToString(out.Subnets[0].VpcId), nil
}

func (b *bake) createGroup(ctx context.Context, vpc string) (string, error) {
	in := &ec2.CreateSecurityGroupInput{
		GroupName:         aws.String(b.group.name),
		Description:       aws.String("Temporary: goldline bake " + b.image.Name),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeSecurityGroup, b.temporary(nil))},
	}
	if vpc != "" {
		in.VpcId = aws.String(vpc)
	}
	id, err := cloud.Once(ctx, b.cloud, b.findGroup, func(ctx context.Context) (string, error) {
		out, err := b.cloud.EC2.CreateSecurityGroup(ctx, in)
		if err != nil {
			return "", err
		}
		return aws.ToString(out.GroupId), nil
	})
	if !cloud.AlreadyExists(err) {
		return id, err
	}
	found, ok, lookErr := b.findGroup(ctx) // left by an earlier attempt of this run
	if lookErr != nil || !ok {
		return "", err
	}
	return found, nil
}

func (b *bake) findGroup(ctx context.Context) (id string, ok bool, err error) {
	out, err := b.cloud.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{
		cloud.Filter("tag:"+tags.Project, b.options.Project), cloud.Filter("tag:"+tags.Run, b.options.Run), cloud.Filter("group-name", b.group.name),
	}})
	if err != nil || len(out.SecurityGroups) == 0 {
		return "", false, err
	}
	return aws.ToString(out.SecurityGroups[0].GroupId), true, nil
}

func (b *bake) openGroup(ctx context.Context, cidrs []string) error {
	var rules []types.IpPermission
	for _, port := range b.ports() {
		rule := types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(port), ToPort: aws.Int32(port)}
		for _, cidr := range cidrs {
			if strings.Contains(cidr, ":") {
				rule.Ipv6Ranges = append(rule.Ipv6Ranges, types.Ipv6Range{CidrIpv6: aws.String(cidr)})
			} else {
				rule.IpRanges = append(rule.IpRanges, types.IpRange{CidrIp: aws.String(cidr)})
			}
		}
		rules = append(rules, rule)
	}
	open := func(ctx context.Context) error {
		_, err := b.cloud.EC2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
			GroupId: aws.String(b.group.thing.id), IpPermissions: rules,
		})
		if cloud.AlreadyExists(err) {
			return nil
		}
		return err
	}
	err := visible(ctx, open)
	if cloud.Ambiguous(err) {
		err = open(ctx) // a rule cannot be there twice
	}
	return err
}

// ports are what the caller may reach: SSH, and what the tests connect to.
func (b *bake) ports() []int32 {
	ports := []int32{int32(b.port())}
	if t := b.image.Tests; t != nil {
		for _, c := range t.Checks {
			if port := int32(c.Port); port != 0 && !slices.Contains(ports, port) {
				ports = append(ports, port)
			}
		}
	}
	return ports
}

func (securityGroupStep) undo(ctx context.Context, b *bake) error {
	if b.group == nil {
		return nil
	}
	err := b.group.leave(ctx, b.removeGroup)
	if err == nil {
		b.group = nil
	}
	return err
}

func (b *bake) removeGroup(ctx context.Context) error {
	id := b.group.thing.id
	if id == "" { // the answer to its making was lost
		found, ok, err := b.findGroup(ctx)
		if err != nil {
			return b.stays(fmt.Errorf("look for security group %s: %w", b.group.name, err), "security group "+b.group.name,
				"delete-security-group --group-name %s", b.group.name)
		}
		if !ok {
			return nil
		}
		id = found
	}
	if err := b.deleteGroup(ctx, id); err != nil {
		return b.stays(fmt.Errorf("delete security group %s: %w", id, err), "security group "+id, "delete-security-group --group-id %s", id)
	}
	b.tell(event.Removed, id, "security group %s", id)
	return nil
}

// deleteGroup tries first: where the image took its time the builders, whose
// network interfaces keep the group in use, are gone. Else it waits for them.
func (b *bake) deleteGroup(ctx context.Context, id string) error {
	_, err := b.cloud.EC2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: aws.String(id)})
	switch {
	case err == nil || cloud.NotFound(err):
		return nil
	case !cloud.InUse(err) && !cloud.Ambiguous(err):
		return err
	}
	b.Baker.mu.Lock()
	builders := maps.Clone(b.group.builders)
	b.Baker.mu.Unlock()
	for builder, ending := range builders {
		if !ending {
			return fmt.Errorf("builder %s, which is not being terminated, has it", builder)
		}
	}
	ids := slices.Sorted(maps.Keys(builders))
	_ = graph.Each(ctx, 0, len(ids), func(ctx context.Context, i int) error {
		// If its end cannot be seen, whether the group can be deleted can.
		_ = b.awaitTerminated(ctx, securityGroupStep{}.name(), ids[i])
		return nil
	})
	return b.deleteUnused(ctx, id)
}

// deleteUnused deletes a security group as soon as nothing uses it any more.
func (b *bake) deleteUnused(ctx context.Context, id string) error {
	return unused(ctx, func() error {
		_, err := b.cloud.EC2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: aws.String(id)})
		return err
	})
}

// unused repeats a removal for as long as something uses what it removes.
func unused(ctx context.Context, remove func() error) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := remove()
		switch {
		case err == nil || cloud.NotFound(err):
			return nil
		case !cloud.InUse(err):
			return err
		}
		if cloud.Sleep(ctx, pause) != nil {
			return err
		}
	}
}

// visible repeats a call about something made moments ago for as long as EC2
// may not know of it yet.
func visible(ctx context.Context, call func(context.Context) error) error {
	var err error
	for _, pause := range []time.Duration{0, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
		if cloud.Sleep(ctx, pause) != nil {
			return err
		}
		if err = call(ctx); !cloud.NotFound(err) {
			return err
		}
	}
	return err
}
