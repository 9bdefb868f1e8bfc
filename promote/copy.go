package promote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// copyTime bounds the wait for a copy. AWS names no bound; a terabyte between
// continents takes about an hour.
const copyTime = 3 * time.Hour

// copying says where to copy a build, and under which key. Without a key it is
// encrypted as it was.
type copying struct {
	to  *stock
	key string
}

// copyBuild gives the copy of a build in another region or account: one that is
// there, or is being made by a run that was killed, or a new one. Both sides say
// of which AMI the other is a copy.
func (p *Promoter) copyBuild(ctx context.Context, b BuildInfo, how copying) (BuildInfo, error) {
	copied, err := p.copied(ctx, b, how)
	if err != nil {
		return b, fmt.Errorf("copy %s to %s of account %s: %w", b.AMI, how.to.cloud.Region, how.to.cloud.Account, err)
	}
	key := tags.CopiedTo + how.to.cloud.Account + ":" + how.to.cloud.Region
	_, err = b.at.cloud.EC2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{b.AMI}, Tags: cloud.Tags(map[string]string{key: copied.AMI})})
	if err != nil {
		return b, fmt.Errorf("tag %s: %w", b.AMI, err)
	}
	return copied, nil
}

// beginning is the copy of an AMI that this process has found or begun in a place.
// Environments that share an account and region may want it at the same time: one
// of them begins it.
type beginning struct {
	mu sync.Mutex
	id string
}

// beginning is that of an AMI in the stock.
func (s *stock) beginning(b BuildInfo) *beginning {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.Join([]string{b.Image, b.Version, b.Fingerprint, b.tag(tags.Run), b.Architecture}, " ")
	if s.begun == nil {
		s.begun = map[string]*beginning{}
	}
	if s.begun[key] == nil {
		s.begun[key] = &beginning{}
	}
	return s.begun[key]
}

// begin gives the copy that is there or being made, or begins one.
func (p *Promoter) begin(ctx context.Context, b BuildInfo, how copying) (id string, err error) {
	one := how.to.beginning(b)
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.id != "" {
		return one.id, nil
	}
	there, ok, err := how.to.counterpart(ctx, b)
	switch {
	case err != nil:
	case ok:
		one.id = there.AMI
	default:
		one.id, err = p.copyAnew(ctx, b, how)
	}
	return one.id, err
}

// giveUp makes the next one look for a copy again.
func (s *stock) giveUp(b BuildInfo) {
	one := s.beginning(b)
	one.mu.Lock()
	defer one.mu.Unlock()
	one.id = ""
}

func (p *Promoter) copied(ctx context.Context, b BuildInfo, how copying) (copied BuildInfo, err error) {
	id, err := p.begin(ctx, b, how)
	if err != nil {
		return b, err
	}
	defer func() {
		if err != nil {
			how.to.giveUp(b)
			how.to.forget()
		}
	}()
	sink := event.Scope(p.sink, "", b.Image)
	image, err := how.to.cloud.Images.Wait(ctx, cloud.Wait[types.Image]{
		ID: id, For: "image " + id + " to be available", Deadline: copyTime,
		Done: func(image types.Image, found bool) (bool, error) { return ready(id, image, found) },
		Show: func(image types.Image) string { return string(image.State) },
		Progress: func(shown string) {
			sink.Emit(event.Event{Kind: event.Waiting, Message: "image " + id + " is " + shown})
		},
	})
	if err != nil {
		return b, err
	}
	if cloud.TagSet(image.Tags)[tags.CopiedFrom] == "" {
		// An EC2 that copies without the tags that it was given, as some do that
		// are not AWS's.
		_, err := how.to.cloud.EC2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: cloud.Tags(b.copyTags())})
		if err != nil {
			return b, fmt.Errorf("tag %s: %w", id, err)
		}
	}
	if b.image.ImdsSupport == types.ImdsSupportValuesV20 {
		if err := how.to.cloud.RequireIMDSv2(ctx, &image); err != nil {
			return b, err
		}
	}
	return how.to.fetch(ctx, id)
}

func ready(id string, image types.Image, found bool) (bool, error) {
	switch {
	case !found || image.State == types.ImageStatePending:
		return false, nil
	case image.State == types.ImageStateAvailable:
		return true, nil
	}
	reason := "EC2 gives no reason"
	if image.StateReason != nil {
		reason = aws.ToString(image.StateReason.Message)
	}
	return false, fmt.Errorf("image %s is %s: %s", id, image.State, reason)
}

func (p *Promoter) copyAnew(ctx context.Context, b BuildInfo, how copying) (string, error) {
	set := b.copyTags()
	to := how.to.cloud
	in := &ec2.CopyImageInput{
		Name: b.image.Name, Description: b.image.Description, SourceImageId: aws.String(b.AMI), SourceRegion: aws.String(b.Region),
		// A copy that was removed since still holds its token, hence the run.
		ClientToken:       aws.String(token("copy", p.run, b.AMI, to.Account, to.Region)),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeImage, set), cloud.TagSpec(types.ResourceTypeSnapshot, set)},
	}
	if how.key != "" {
		in.Encrypted, in.KmsKeyId = aws.Bool(true), aws.String(how.key)
	}
	id, err := cloud.Once(ctx, to, func(ctx context.Context) (string, bool, error) {
		how.to.forget()
		there, ok, err := how.to.counterpart(ctx, b)
		return there.AMI, ok, err
	}, func(ctx context.Context) (string, error) {
		out, err := to.EC2.CopyImage(ctx, in)
		if err != nil {
			return "", err
		}
		return aws.ToString(out.ImageId), nil
	})
	if cloud.AlreadyExists(err) {
		how.to.forget()
		if there, ok, looked := how.to.counterpart(ctx, b); ok && looked == nil {
			return there.AMI, nil // by another run, for another environment
		}
		err = fail.WithHint(fmt.Errorf("the name %q is taken there", aws.ToString(b.image.Name)), "give ami_name a part that changes, such as {{timestamp}}, in the recipe of %s", b.Image)
	}
	if err == nil {
		event.Scope(p.sink, "", b.Image).Emit(event.Event{Kind: event.Created, Message: fmt.Sprintf("image %s in %s of account %s, a copy of %s", id, to.Region, to.Account, b.AMI), Fields: map[string]string{"id": id, "kind": "image"}})
	}
	return id, err
}

func token(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}
