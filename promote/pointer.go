package promote

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// imageType makes Parameter Store check that the value is an AMI that exists.
const imageType = "aws:ec2:image"

// What moved a pointer.
const (
	actionPromote   = "promote"
	actionSkip      = "promote --skip-ladder"
	actionSkipGates = "promote --skip-gates"
	actionRollback  = "rollback"
	actionRestore   = "restore" // a rollback whose launch failed was taken back
	actionOther     = "other"   // something that is not Goldline
)

// note says why a pointer was moved. A parameter of type aws:ec2:image holds an
// AMI and nothing else, so the note is kept as the parameter's description,
// which Parameter Store versions along with the value.
type note struct {
	Run     string `json:"run,omitempty"`
	Action  string `json:"action"`
	Reason  string `json:"reason,omitempty"`
	From    string `json:"from,omitempty"`    // the AMI that was current before
	Version string `json:"version,omitempty"` // of the build
	// Own, on a pointer of a further region, is the version of the environment's own
	// pointer that it goes with.
	Own int64 `json:"own,omitempty"`

	again string // the command that finishes the move
}

// longestDescription is what Parameter Store takes:
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
const longestDescription = 1024

// description writes a note. A reason that is too long is cut.
func (n note) description() string {
	for {
		text, err := json.Marshal(n)
		if err == nil && utf8.RuneCount(text) <= longestDescription {
			return string(text)
		}
		runes := []rune(n.Reason)
		if len(runes) == 0 {
			return "" // names beyond all measure; the move matters more than its note
		}
		n.Reason = string(runes[:len(runes)*9/10])
	}
}

func noteOf(description string) note {
	var n note
	if json.Unmarshal([]byte(description), &n) != nil || n.Action == "" {
		return note{Action: actionOther}
	}
	return n
}

// ref names an AMI by its build where that still exists.
func (p *Promoter) ref(ctx context.Context, in *place, ami string) Ref {
	if ami == "" {
		return Ref{}
	}
	builds, err := in.stock.all(ctx)
	if err == nil {
		for _, b := range builds {
			if b.has(ami) {
				return b.Ref()
			}
		}
	}
	return Ref{AMI: ami}
}

// behind are the AMIs of a build besides the main one that are not current.
func behind(before cloud.Pointer, b BuildInfo) []BuildInfo {
	return slices.DeleteFunc(b.others(), func(part BuildInfo) bool { return before.Others[part.Architecture].AMI == part.AMI })
}

// writeAll puts the pointers of a build. The one that holds the main AMI comes
// last: while it shows another build, whose AMIs are others, what the pointers
// beside it show counts for nothing; and who is killed in between leaves a
// promotion that the same command finishes.
func (p *Promoter) writeAll(ctx context.Context, in *place, b BuildInfo, behind []BuildInfo, before cloud.Pointer, n note) (cloud.Pointer, error) {
	moved := func(err error) error { // some have been
		if err == nil || len(fail.LeftOf(err)) > 0 {
			return err
		}
		return fail.Dirty(err, unsettled(in, b, n))
	}
	for i, part := range behind {
		n := n
		n.From = before.Others[part.Architecture].AMI
		_, err := p.write(ctx, in, part, part.Architecture, before.Others[part.Architecture], n)
		if i > 0 {
			err = moved(err)
		}
		if err != nil {
			return cloud.Pointer{}, err
		}
	}
	if before.AMI == b.AMI {
		return before, nil
	}
	after, err := p.write(ctx, in, b, "", before, n)
	if len(behind) > 0 {
		err = moved(err)
	}
	return after, err
}

// write puts the pointer of an architecture, or the main one, and reads it back.
// Parameter Store checks a value after it has answered, and drops one that it does
// not like without a word, so only the read tells; the same read tells whether a
// call whose answer was lost had been carried out.
func (p *Promoter) write(ctx context.Context, in *place, b BuildInfo, architecture string, before cloud.Pointer, n note) (cloud.Pointer, error) {
	name := in.pointer(b.Image, architecture)
	input := &ssm.PutParameterInput{
		Name: aws.String(name), Value: aws.String(b.AMI), DataType: aws.String(imageType),
		Type: types.ParameterTypeString, Description: aws.String(n.description()), Overwrite: aws.Bool(before.AMI != ""),
	}
	if before.AMI == "" { // tags are taken only by the call that makes it
		input.Tags = p.parameterTags(in, b.Image)
	}
	look := func(ctx context.Context) (cloud.Pointer, bool, error) {
		now, err := read(ctx, in, b.Image, architecture)
		return now, err == nil && now.AMI == b.AMI && now.Version > before.Version, err
	}
	after, err := cloud.Once(ctx, in.cloud, look, func(ctx context.Context) (cloud.Pointer, error) {
		_, err := in.cloud.SSM.PutParameter(ctx, input)
		return cloud.Pointer{}, err
	})
	if cloud.AlreadyExists(err) {
		in.forget()
		if now, mine := p.made(ctx, in, look); mine {
			in.saw(now)
			return now, nil
		}
		return after, fail.WithHint(fail.Clean(fmt.Errorf("pointer %s: another run has just made it", name)), "run the same command again")
	}
	if err != nil {
		in.forget()
		err = fmt.Errorf("pointer %s: %w", name, err)
		if cloud.Ambiguous(err) && ctx.Err() == nil {
			return after, fail.Dirty(err, unsettled(in, b, n))
		}
		return after, err
	}
	if after.AMI == "" {
		after, err = p.await(ctx, in, b, n, look)
		if err != nil {
			in.forget()
			return after, fmt.Errorf("pointer %s: %w", name, err)
		}
	}
	in.saw(after)
	return after, nil
}

// pointerLook reads a pointer, and tells whether it shows what was written to it.
type pointerLook func(context.Context) (now cloud.Pointer, ok bool, err error)

// made looks at a pointer that turns out to be there already, and tells whether
// it is the one that was to be made: an earlier run of the same promotion may
// have made it, and Parameter Store shows a new one only when it has checked it.
func (p *Promoter) made(ctx context.Context, in *place, look pointerLook) (cloud.Pointer, bool) {
	now, mine, _ := p.settled(ctx, in, look, func(err error) bool { return !cloud.NotFound(err) })
	return now, mine
}

// await reads the pointer until it shows the build.
func (p *Promoter) await(ctx context.Context, in *place, b BuildInfo, n note, look pointerLook) (cloud.Pointer, error) {
	failed := func(err error) bool { return err != nil && !cloud.NotFound(err) }
	now, ok, err := p.settled(ctx, in, look, failed)
	switch {
	case ok:
		return now, nil
	case failed(err):
		return now, fail.Dirty(err, unsettled(in, b, n))
	case ctx.Err() != nil:
		return now, ctx.Err()
	}
	err = fmt.Errorf("it was written, but within %s it did not show %s; it shows %s", p.settle, b.AMI, orNothing(now.AMI))
	return now, fail.WithHint(fail.Dirty(err, unsettled(in, b, n)), "Parameter Store takes only an AMI that exists in its region and that the caller may describe (ec2:DescribeImages)")
}

// settled looks at a pointer until it shows what was written, until what a look
// gives is final, or for as long as a pointer may take. It gives the last look.
func (p *Promoter) settled(ctx context.Context, in *place, look pointerLook, final func(error) bool) (cloud.Pointer, bool, error) {
	deadline := time.Now().Add(p.settle)
	for pause := min(50*time.Millisecond, in.cloud.Pace()); ; pause = min(2*pause, 2*time.Second) {
		now, ok, err := look(ctx)
		if ok || final(err) || time.Now().After(deadline) || cloud.Sleep(ctx, pause) != nil {
			return now, ok, err
		}
	}
}

// unsettled is a pointer of which nobody can say what it will show.
func unsettled(in *place, b BuildInfo, n note) fail.Left {
	return fail.Left{What: fmt.Sprintf("the pointer of %s in %s, which may change yet", b.Image, in), Command: n.again}
}

func orNothing(ami string) string {
	if ami == "" {
		return "nothing"
	}
	return ami
}

// read reads one pointer.
func read(ctx context.Context, in *place, image, architecture string) (cloud.Pointer, error) {
	out, err := in.cloud.SSM.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(in.pointer(image, architecture))})
	if err != nil {
		return cloud.Pointer{}, err
	}
	v := out.Parameter
	return cloud.Pointer{Image: image, AMI: aws.ToString(v.Value), Version: v.Version, Since: aws.ToTime(v.LastModifiedDate), Architecture: architecture}, nil
}

// pointer is the parameter that holds an image's AMI for an architecture, or the
// main one for none.
func (l *place) pointer(image, architecture string) string {
	if architecture == "" {
		return tags.Pointer(l.name, l.env.Name, image)
	}
	return tags.ArchitecturePointer(l.name, l.env.Name, image, architecture)
}

func (p *Promoter) parameterTags(in *place, image string) []types.Tag {
	set := tags.Merge(p.project.Tags, in.env.Tags, map[string]string{
		tags.Project: in.name, tags.Environment: in.env.Name, tags.Image: image, tags.Run: p.run,
	})
	var list []types.Tag
	for _, k := range tags.Keys(set) {
		list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(set[k])})
	}
	return list
}

// mark says on the AMI when it was promoted to an environment.
func (p *Promoter) mark(ctx context.Context, in *place, b BuildInfo, since time.Time, n note) error {
	text := since.UTC().Format(time.RFC3339)
	_, err := in.cloud.EC2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: b.ids(), Tags: cloud.Tags(map[string]string{tags.Promoted(in.env.Name): text})})
	if err != nil {
		err = fmt.Errorf("tag %s: %w", b.AMI, err)
		return fail.Dirty(err, fail.Left{What: fmt.Sprintf("build %s is current in %s, but not tagged so", b.Ref(), in), Command: n.again})
	}
	in.stock.noted(b.AMI, in.env.Name, text)
	return nil
}
