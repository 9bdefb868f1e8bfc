package launch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
)

type profileAPI interface {
	AssociateIamInstanceProfile(context.Context, *ec2.AssociateIamInstanceProfileInput, ...func(*ec2.Options)) (*ec2.AssociateIamInstanceProfileOutput, error)
	ReplaceIamInstanceProfileAssociation(context.Context, *ec2.ReplaceIamInstanceProfileAssociationInput, ...func(*ec2.Options)) (*ec2.ReplaceIamInstanceProfileAssociationOutput, error)
	DisassociateIamInstanceProfile(context.Context, *ec2.DisassociateIamInstanceProfileInput, ...func(*ec2.Options)) (*ec2.DisassociateIamInstanceProfileOutput, error)
	DescribeIamInstanceProfileAssociations(context.Context, *ec2.DescribeIamInstanceProfileAssociationsInput, ...func(*ec2.Options)) (*ec2.DescribeIamInstanceProfileAssociationsOutput, error)
}

func (instances) profileAPI(c *cloud.Cloud) profileAPI { return c.EC2 }

// How long EC2 may not know an instance profile that IAM has: the users of
// other tools tell of two minutes. One that is older than freshProfile is
// refused for another reason, which no waiting changes.
const (
	profileDeadline = 4 * time.Minute
	freshProfile    = 15 * time.Minute
)

// profileOf is the name of an instance's profile.
func profileOf(i types.Instance) string {
	if i.IamInstanceProfile == nil {
		return ""
	}
	arn := aws.ToString(i.IamInstanceProfile.Arn)
	return arn[strings.LastIndexByte(arn, '/')+1:]
}

// knownProfile makes a call that names an instance profile, again while EC2
// does not know the profile yet. EC2 says only that a parameter is invalid; IAM
// tells whether the profile is there and so new that waiting helps.
func (t *task) knownProfile(ctx context.Context, profile string, call func() error) error {
	if profile == "" {
		return call()
	}
	return repeat(ctx, profileDeadline, call, func(err error) bool {
		return cloud.Code(err) == "InvalidParameterValue" && t.isFresh(ctx, profile)
	})
}

// isFresh tells whether a profile and its role are there, and one of the two
// was made moments ago.
func (t *task) isFresh(ctx context.Context, name string) bool {
	out, err := t.Cloud.IAM.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: aws.String(name)})
	if err != nil || out.InstanceProfile == nil || len(out.InstanceProfile.Roles) == 0 {
		return false
	}
	newest := aws.ToTime(out.InstanceProfile.CreateDate)
	if role := aws.ToTime(out.InstanceProfile.Roles[0].CreateDate); role.After(newest) {
		newest = role
	}
	fresh := time.Since(newest) < freshProfile
	if fresh {
		t.progress("EC2 does not know instance profile %s yet", name)
	}
	return fresh
}

var errAssociating = errors.New("its association has not come into effect")

// giveProfile gives an instance another profile, or none, while it runs.
func (k instances) giveProfile(ctx context.Context, t *task, i instance, name string) error {
	id, done := aws.ToString(i.InstanceId), false
	err := t.knownProfile(ctx, name, func() (err error) {
		var now *types.IamInstanceProfileAssociation
		if i.IamInstanceProfile != nil {
			if now, err = k.association(ctx, t, id); err != nil {
				return err
			}
		}
		done, err = k.associate(ctx, t, id, name, now)
		return err
	})
	if err != nil || done {
		return err
	}
	return repeat(ctx, profileDeadline, func() error {
		now, err := k.association(ctx, t, id)
		switch {
		case err != nil:
			return err
		case now == nil && name != "", now != nil && (name == "" || arnName(aws.ToString(now.IamInstanceProfile.Arn)) != name || now.State != types.IamInstanceProfileAssociationStateAssociated):
			return errAssociating
		}
		return nil
	}, func(err error) bool { return errors.Is(err, errAssociating) })
}

// associate makes the one call that leads from an association to another. It is
// done when that is in effect at once.
func (k instances) associate(ctx context.Context, t *task, id, name string, now *types.IamInstanceProfileAssociation) (done bool, err error) {
	api, wanted := k.profileAPI(t.Cloud), &types.IamInstanceProfileSpecification{Name: aws.String(name)}
	switch {
	case now == nil && name == "":
	case now == nil:
		out, err := api.AssociateIamInstanceProfile(ctx, &ec2.AssociateIamInstanceProfileInput{InstanceId: aws.String(id), IamInstanceProfile: wanted})
		if cloud.InUse(err) { // an earlier try, whose answer was lost
			if now, lookErr := k.association(ctx, t, id); lookErr == nil && now != nil && arnName(aws.ToString(now.IamInstanceProfile.Arn)) == name {
				return false, nil
			}
		}
		return err == nil && inEffect(out.IamInstanceProfileAssociation), err
	case name == "":
		_, err = api.DisassociateIamInstanceProfile(ctx, &ec2.DisassociateIamInstanceProfileInput{AssociationId: now.AssociationId})
		if cloud.NotFound(err) {
			return false, nil
		}
	case arnName(aws.ToString(now.IamInstanceProfile.Arn)) != name:
		_, err = api.ReplaceIamInstanceProfileAssociation(ctx, &ec2.ReplaceIamInstanceProfileAssociationInput{AssociationId: now.AssociationId, IamInstanceProfile: wanted})
	}
	return false, err
}

func inEffect(a *types.IamInstanceProfileAssociation) bool {
	return a != nil && a.State == types.IamInstanceProfileAssociationStateAssociated
}

// association is that of an instance with its profile; nil for none.
func (k instances) association(ctx context.Context, t *task, id string) (*types.IamInstanceProfileAssociation, error) {
	out, err := k.profileAPI(t.Cloud).DescribeIamInstanceProfileAssociations(ctx, &ec2.DescribeIamInstanceProfileAssociationsInput{Filters: []types.Filter{
		cloud.Filter("instance-id", id),
		cloud.Filter("state", string(types.IamInstanceProfileAssociationStateAssociated), string(types.IamInstanceProfileAssociationStateAssociating)),
	}})
	if err != nil {
		return nil, fmt.Errorf("describe its association: %w", err)
	}
	for _, a := range out.IamInstanceProfileAssociations {
		if a.IamInstanceProfile != nil {
			return &a, nil
		}
	}
	return nil, nil
}

// verifyProfiles looks up the instance profiles that the topology does not
// define, and that something is going to be launched with.
func (p *planner) verifyProfiles(ctx context.Context, problems *diag.List) error {
	own := map[string]bool{"": true}
	for _, it := range p.items {
		if s, ok := it.Spec.(*instanceProfileSpec); ok && it.Adopt == nil {
			own[strings.ToLower(p.iamName(it.Resource, s.InstanceProfileName))] = true
		}
	}
	there := map[string]bool{}
	for _, it := range p.items {
		name := profileNamed(it.spec)
		if !it.made() && !it.diffs.has("iam_instance_profile") || own[strings.ToLower(name)] || strings.Contains(name, Unknown) {
			continue
		}
		known, asked := there[name]
		if !asked {
			_, err := p.Cloud.IAM.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: aws.String(name)})
			if err != nil && !cloud.NotFound(err) && !cloud.Denied(err) {
				return fmt.Errorf("look for instance profile %s: %w", name, err)
			}
			known = !cloud.NotFound(err)
			there[name] = known
		}
		if !known {
			problems.AddHint(it.At("iam_instance_profile"), "give the name of one that is there, or define it: ${instance_profile.NAME.name}", "%s: no instance profile %s in account %s", it.Address, name, p.Cloud.Account)
		}
	}
	return nil
}

// profileNamed is the instance profile that a definition names.
func profileNamed(spec any) string {
	switch s := spec.(type) {
	case *instanceSpec:
		return s.IAMInstanceProfile
	case *launchTemplateSpec:
		return s.IAMInstanceProfile
	}
	return ""
}
