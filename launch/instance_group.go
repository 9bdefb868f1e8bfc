package launch

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Instances of one definition that differ in nothing but their index are
// launched together: RunInstances is the scarcest of EC2's calls. They are born
// with the definition's tags, the definition's address and the index of the
// first; EC2 numbers them from there, so which is which is known before each
// has tags of its own. What they are told as user data is the same for all.

// alike tells whether an instance shares its user data with the others of its
// definition. It is a matter of the definition alone, never of what is there:
// another user data means another instance.
func alike(r *project.Resource, s *instanceSpec) bool {
	if r == nil || !r.Counted || r.Varies("user_data") || s.MetadataOptions != nil && s.MetadataOptions.InstanceMetadataTags == string(types.InstanceMetadataTagsStateDisabled) {
		return false
	}
	for key := range r.Tags {
		if !readableKey.MatchString(key) || key == "." || key == ".." || key == "_index" {
			return false
		}
	}
	return true
}

// readableKey matches the keys of tags that instances can read as metadata.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-tags-in-IMDS.html
var readableKey = regexp.MustCompile(`^[a-zA-Z0-9+\-=.,_:@]+$`)

// definitionAddress is the address without the index.
func definitionAddress(r *project.Resource) string { return r.Kind + "." + r.Name }

// together: what counts is the definition as it is written, since the values of
// references may not be known yet. Volumes and further network interfaces are
// attached later, to each its own, and secondary addresses are assigned later: EC2
// takes none by name for several instances.
func (instances) together(r *project.Resource, s *instanceSpec) string {
	if !alike(r, s) || s.PrivateIP != "" {
		return ""
	}
	same := *s
	same.Volumes, same.NetworkInterfaces, same.Domain = nil, nil, nil // each its own
	same.SecondaryIPs = nil
	text, err := json.Marshal([]any{same, r.Tags})
	if err != nil {
		return "" // user data that is no JSON is refused elsewhere
	}
	return definitionAddress(r) + " " + shortDigest(text)
}

// launchGroup is how many instances one call launches at most: EC2 advises
// against larger ones.
const launchGroup = 100

// createAll launches the instances of a group, whose first is t's, in one call.
// The client token follows from the group, so that repeating it is harmless.
func (k instances) createAll(ctx context.Context, t *task, all []want[instanceSpec]) ([]instance, error) {
	group := *t
	first := all[0]
	group.uuid = fmt.Sprintf("%s +%d", first.UUID, len(all))
	common, volumes := tags.Merge(t.tags), tags.Merge(t.tags)
	for _, key := range []string{tags.Name, tags.Address, tags.UUID} {
		delete(common, key)
		delete(volumes, key)
	}
	common[tags.Name], volumes[tags.Name] = first.Name, first.Name
	common[tags.Group], common[tags.Base] = definitionAddress(first.Resource), first.Index
	volumes[tags.Address] = definitionAddress(first.Resource) // which keeps them from passing for data volumes
	for range maxGenerations {
		made, err := k.runAll(ctx, &group, first, len(all), common, volumes)
		switch {
		case cloud.Code(err) == "IdempotentParameterMismatch" || err == nil && earlier(&group, made, len(all)):
			group.generation++
			continue
		case err != nil:
			return nil, err
		}
		result := make([]instance, len(all))
		for _, i := range made {
			n := int(aws.ToInt32(i.AmiLaunchIndex))
			if n < 0 || n >= len(all) {
				return nil, fmt.Errorf("instance %s has the launch index %d of %d", aws.ToString(i.InstanceId), n, len(all))
			}
			result[n] = asLaunched(i, first.spec)
			result[n].identity = identity{address: all[n].Address, uuid: all[n].UUID}
		}
		return result, nil
	}
	return nil, errGenerations
}

func (k instances) runAll(ctx context.Context, t *task, first want[instanceSpec], n int, common, volumes map[string]string) ([]types.Instance, error) {
	in, err := runInput(t, first, nil, 0)
	if err != nil {
		return nil, err
	}
	in.MinCount, in.MaxCount = aws.Int32(int32(n)), aws.Int32(int32(n))
	in.TagSpecifications = append(t.birthTagsOf(types.ResourceTypeInstance, common), t.birthTagsOf(types.ResourceTypeVolume, volumes)...)
	var made []types.Instance
	err = t.again(ctx, func() error {
		return t.knownProfile(ctx, first.spec.IAMInstanceProfile, func() error {
			out, err := k.api(t.Cloud).RunInstances(ctx, in)
			if err == nil {
				made = out.Instances
			}
			return err
		})
	}, nil)
	return made, err
}

// earlier tells whether a call's answer is that of an earlier one of the same
// client token, whose instances are terminated.
func earlier(t *task, made []types.Instance, n int) bool {
	return len(made) != n || slices.ContainsFunc(made, func(i types.Instance) bool {
		return over(i) && i.LaunchTime != nil && i.LaunchTime.Before(t.started.Add(-time.Minute))
	})
}

// identity is what an instance of a group is before it has tags of its own.
type identity struct{ address, uuid string }

// identify gives the identity of an instance: by its own tags, or as a member
// of a group.
func identify(q query, i types.Instance) identity {
	set := cloud.TagSet(i.Tags)
	own := identity{set[tags.Address], set[tags.UUID]}
	base, err := strconv.Atoi(set[tags.Base])
	if own.uuid != "" || own.address != "" || set[tags.Group] == "" || err != nil {
		return own
	}
	own.address = fmt.Sprintf("%s[%d]", set[tags.Group], base+int(aws.ToInt32(i.AmiLaunchIndex)))
	if q.identify != nil {
		own.uuid = q.identify(own.address)
	}
	return own
}

// nameMember gives a member of a group tags of its own, and the volumes that
// came with it.
func (k instances) nameMember(ctx context.Context, t *task, i *instance) error {
	now, err := t.running(ctx, aws.ToString(i.InstanceId))
	if err != nil {
		return err
	}
	i.Instance = *now
	own := map[string]string{tags.Name: t.tags[tags.Name], tags.Address: t.tags[tags.Address], tags.UUID: t.tags[tags.UUID]}
	if err := createTags(ctx, t.Cloud, append([]string{aws.ToString(now.InstanceId)}, volumesWith(i.Instance)...), own); err != nil {
		return fmt.Errorf("tags: %w", err)
	}
	return nil
}

// volumesWith are the volumes that came with an instance and go with it.
func volumesWith(i types.Instance) []string {
	var ids []string
	for _, m := range i.BlockDeviceMappings {
		if m.Ebs != nil && aws.ToBool(m.Ebs.DeleteOnTermination) {
			ids = append(ids, aws.ToString(m.Ebs.VolumeId))
		}
	}
	return ids
}

// unnamed tells whether an instance has no tags of its own yet.
func unnamed(i types.Instance) bool {
	set := cloud.TagSet(i.Tags)
	return set[tags.UUID] == "" && set[tags.Address] == "" && strings.HasPrefix(set[tags.Group], "instance.")
}
