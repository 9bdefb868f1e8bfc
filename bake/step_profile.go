package bake

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// profileStep makes a role and an instance profile for the builder from the
// recipe's policy document. Both have the same name and carry run and expiry;
// those of dead bakes of this project are removed first.
type profileStep struct{}

func (profileStep) name() string { return "instance profile" }

// assumeByEC2 lets EC2 give instances the role.
const assumeByEC2 = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// policyName is the inline policy's name within the role.
const policyName = "goldline-bake"

func (profileStep) run(ctx context.Context, b *bake) error {
	document := b.image.TemporaryProfile
	if document == nil {
		return nil
	}
	if err := b.sweepProfiles(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.say(event.Warning, "instance profiles of earlier bakes could not all be removed: %v", err)
	}
	policy, err := policyText(document)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// The name is this bake's alone: what bears it is what an earlier attempt made.
	name := policyName + "-" + digestOf(b.options.Project, b.label(), b.options.Run, b.nonce)[:32]
	long, cancel := outlive(ctx)
	defer cancel()
	b.profile = made{tried: true, id: name}
	if err := b.makeProfile(long, name, policy); err != nil {
		return fmt.Errorf("temporary instance profile: %w", err)
	}
	b.profiled = time.Now()
	b.tell(event.Created, name, "instance profile %s, with a role", name)
	return nil
}

func policyText(document *project.PolicyDocument) (string, error) {
	full := *document
	if full.Version == "" {
		full.Version = "2012-10-17"
	}
	text, err := json.Marshal(full)
	return string(text), err
}

func (b *bake) makeProfile(ctx context.Context, name, policy string) error {
	var set []iamtypes.Tag
	all := b.temporary(nil)
	for _, key := range tags.Keys(all) {
		set = append(set, iamtypes.Tag{Key: aws.String(key), Value: aws.String(all[key])})
	}
	client, role, path := b.cloud.IAM, aws.String(name), aws.String(profilePath(b.options.Project))
	return inTurn(
		func() error {
			_, err := client.CreateRole(ctx, &iam.CreateRoleInput{RoleName: role, Path: path, AssumeRolePolicyDocument: aws.String(assumeByEC2), Tags: set})
			return err
		},
		func() error {
			_, err := client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: role, PolicyName: aws.String(policyName), PolicyDocument: aws.String(policy)})
			return err
		},
		func() error {
			_, err := client.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: role, Path: path, Tags: set})
			return err
		},
		func() error {
			_, err := client.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: role, RoleName: role})
			if cloud.Code(err) == "LimitExceeded" { // a profile holds one role, and nobody else puts one in
				return nil
			}
			return err
		},
	)
}

// inTurn makes calls one after the other. One whose answer was lost is made
// again: what it made bears the same name.
func inTurn(calls ...func() error) error {
	for _, call := range calls {
		err := call()
		if cloud.Ambiguous(err) {
			err = call()
		}
		if err != nil && !cloud.AlreadyExists(err) {
			return err
		}
	}
	return nil
}

func (profileStep) undo(ctx context.Context, b *bake) error {
	if !b.profile.tried {
		return nil
	}
	if err := removeIdentity(ctx, b.cloud, roleKind, b.profile.id); err != nil {
		return fail.Dirty(fmt.Errorf("remove instance profile %s: %w", b.profile.id, err), fail.Left{
			What: "instance profile and role " + b.profile.id, Command: "goldline sweep",
		})
	}
	b.tell(event.Removed, b.profile.id, "instance profile %s", b.profile.id)
	b.profile = made{}
	return nil
}

// sweepProfiles removes the roles and profiles of bakes that are over.
func (b *bake) sweepProfiles(ctx context.Context) error {
	s := b.sweeper()
	roles, err := s.identities(ctx)
	if err != nil {
		return err
	}
	return s.remove(ctx, roles)
}

// Instance profiles take a while to be known to EC2.
const (
	profileTime  = 2 * time.Minute
	profilePause = 500 * time.Millisecond
)

// launchWithProfile launches the builder, again as long as EC2 does not know its
// temporary profile yet, for which it has no code of its own: what tells it from
// any other wrong value is that the refusal names the profile, whose name is this
// bake's alone.
func (b *bake) launchWithProfile(ctx context.Context, launch func() error) error {
	for pause := profilePause; ; pause = min(2*pause, 5*time.Second) {
		err := launch()
		if b.profiled.IsZero() || cloud.Code(err) != "InvalidParameterValue" || !strings.Contains(err.Error(), b.profile.id) || time.Since(b.profiled) > profileTime {
			return err
		}
		b.say(event.Waiting, "instance profile %s to be known to EC2", b.profile.id)
		if cloud.Sleep(ctx, pause) != nil {
			return ctx.Err()
		}
	}
}
