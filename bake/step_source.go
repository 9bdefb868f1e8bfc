package bake

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// sourceStep finds the AMI that the recipe starts from.
type sourceStep struct{}

func (sourceStep) name() string                      { return "source image" }
func (sourceStep) undo(context.Context, *bake) error { return nil }

func (sourceStep) run(ctx context.Context, b *bake) error {
	var err error
	switch {
	case b.image.SourceImage != "":
		b.source, err = b.sourceBuild(ctx)
	case b.image.SourceAMI != "":
		b.source, err = b.sourceAMI(ctx)
	case b.image.SourceAMIFilter != nil:
		b.source, err = b.sourceByFilter(ctx, b.image.SourceAMIFilter)
	default:
		err = fail.Inputf("%s: no source: give source_image, source_ami or source_ami_filter", b.image.Pos)
	}
	if err != nil {
		return err
	}
	if want, has := b.image.BootMode, string(b.source.BootMode); want != "" && has != "" && want != has && !b.narrowsBoot() {
		err := fail.Inputf("%s: boot_mode is %s, but the source image %s has %s, which EC2 lets an image of it keep or, of uefi-preferred, narrow to uefi", b.image.At("boot_mode"), want, aws.ToString(b.source.ImageId), has)
		return fail.WithHint(err, "start from an AMI with boot_mode %s; aws ec2 register-image --boot-mode makes one of a snapshot that is prepared for it", want)
	}
	return nil
}

// narrowsBoot tells whether the AMI is to boot in UEFI alone, and the source image
// prefers that. Nothing else can be made another of a boot mode:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/set-ami-boot-mode.html
func (b *bake) narrowsBoot() bool {
	return b.image.BootMode == string(types.BootModeValuesUefi) && b.source.BootMode == types.BootModeValuesUefiPreferred
}

// bootsUEFI refuses a builder that EC2 would not make an image for UEFI alone of,
// before anything is done on it.
func (b *bake) bootsUEFI() error {
	in := b.instance.CurrentInstanceBootMode
	if !b.narrowsBoot() || in == "" || in == types.InstanceBootModeValuesUefi {
		return nil
	}
	err := fmt.Errorf("%s: boot_mode is %s, but %s (%s) runs in %s", b.image.At("boot_mode"), b.image.BootMode, b.called(), b.instance.InstanceType, in)
	return fail.WithHint(err, "take an instance_type that boots UEFI, such as one of t3 or m7i")
}

// sourceBuild is the newest build of another recipe. One that this Baker made
// or reused is that.
func (b *bake) sourceBuild(ctx context.Context) (types.Image, error) {
	name := b.image.SourceImage
	if ami, ok := b.current(name, b.image.Architecture); ok {
		return ami, nil
	}
	builds, err := b.buildsOf(ctx, name)
	if err != nil {
		return types.Image{}, err
	}
	var others []string
	for _, ami := range builds {
		switch {
		case ami.State != types.ImageStateAvailable:
		case serves(ami, b.image.Architecture):
			return ami, nil
		case !slices.Contains(others, string(ami.Architecture)):
			others = append(others, string(ami.Architecture))
		}
	}
	if len(others) > 0 {
		err = fail.Inputf("%s: source_image %q has no build for %s in %s, but for %s", b.image.At("source_image"), name, b.image.Architecture, b.cloud.Region, strings.Join(others, ", "))
		return types.Image{}, fail.WithHint(err, "give images/%s.yaml architectures: [%s]", name, strings.Join(b.image.Architectures, ", "))
	}
	err = fail.Inputf("%s: source_image %q has no build in %s yet", b.image.At("source_image"), name, b.cloud.Region)
	return types.Image{}, fail.WithHint(err, "bake it first, or together: goldline bake %s %s", name, b.image.Name)
}

func (b *bake) sourceAMI(ctx context.Context) (types.Image, error) {
	id, err := b.render("source_ami", b.image.SourceAMI, nil)
	if err != nil {
		return types.Image{}, err
	}
	if name, ok := strings.CutPrefix(id, resolveSSM); ok {
		if id, err = b.heldBy(ctx, name); err != nil {
			return types.Image{}, err
		}
	}
	found, err := b.sourcesFor(ctx, &ec2.DescribeImagesInput{Filters: []types.Filter{cloud.Filter("image-id", id)}})
	if err != nil {
		return types.Image{}, fmt.Errorf("source image %s: %w", id, err)
	}
	if len(found) == 0 {
		return types.Image{}, fmt.Errorf("%s: source_ami %s is not there in %s, or account %s may not use it", b.image.At("source_ami"), id, b.cloud.Region, b.cloud.Account)
	}
	return found[0], nil
}

// resolveSSM begins a source_ami that names an SSM parameter, as EC2 takes it in
// the place of an AMI. A version may follow the name: resolve:ssm:/base:3.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-systems-manager-parameter-to-find-AMI.html
const resolveSSM = "resolve:ssm:"

// heldBy is the AMI that a parameter holds, which the bakes of a run ask for once.
func (b *bake) heldBy(ctx context.Context, name string) (string, error) {
	b.Baker.mu.Lock()
	known, ok := b.parameters[name]
	if !ok {
		fresh := newMemo[string]()
		known = &fresh
		b.parameters[name] = known
	}
	b.Baker.mu.Unlock()
	at := b.image.At("source_ami")
	id, err := known.get(ctx, func(ctx context.Context) (string, error) {
		out, err := b.cloud.SSM.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(name)})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.Parameter.Value), nil
	})
	switch {
	case cloud.NotFound(err):
		return "", fail.Inputf("%s: source_ami: there is no parameter %s in %s", at, name, b.cloud.Region)
	case err != nil:
		return "", fmt.Errorf("%s: source_ami: parameter %s: %w", at, name, err)
	case !strings.HasPrefix(id, "ami-"):
		return "", fail.Inputf("%s: source_ami: parameter %s holds no AMI", at, name)
	}
	return id, nil
}

func (b *bake) sourceByFilter(ctx context.Context, f *project.AMIFilter) (types.Image, error) {
	in := &ec2.DescribeImagesInput{Owners: f.Owners}
	if f.Deprecated {
		in.IncludeDeprecated = aws.Bool(true)
	}
	for _, name := range tags.Keys(f.Filters) {
		value, err := b.render("source_ami_filter.filters."+name, f.Filters[name], nil)
		if err != nil {
			return types.Image{}, err
		}
		in.Filters = append(in.Filters, cloud.Filter(name, value))
	}
	if _, given := f.Filters["state"]; !given {
		in.Filters = append(in.Filters, cloud.Filter("state", "available"))
	}
	found, err := b.sourcesFor(ctx, in)
	at := b.image.At("source_ami_filter")
	switch {
	case err != nil:
		return types.Image{}, fmt.Errorf("source image: %w", err)
	case len(found) == 0:
		return types.Image{}, fmt.Errorf("%s: no source image in %s matches %s", at, b.cloud.Region, showFilter(in))
	case len(found) > 1 && !f.MostRecent:
		err := fmt.Errorf("%s: %d source images in %s match %s", at, len(found), b.cloud.Region, showFilter(in))
		return types.Image{}, fail.WithHint(err, "narrow source_ami_filter, or take the newest with most_recent: true")
	}
	return found[0], nil
}

func showFilter(in *ec2.DescribeImagesInput) string {
	parts := make([]string, len(in.Filters))
	for i, f := range in.Filters {
		parts[i] = aws.ToString(f.Name) + "=" + strings.Join(f.Values, ",")
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ") + ", owned by " + strings.Join(in.Owners, " or ")
}

// sourceData is what a template may ask about the source image.
func (b *bake) sourceData() map[string]string { return sourceData(b.cloud.Region, b.source) }

func sourceData(region string, source types.Image) map[string]string {
	return map[string]string{
		"BuildRegion":           region,
		"SourceAMI":             aws.ToString(source.ImageId),
		"SourceAMIName":         aws.ToString(source.Name),
		"SourceAMIOwner":        aws.ToString(source.OwnerId),
		"SourceAMIOwnerName":    aws.ToString(source.ImageOwnerAlias),
		"SourceAMICreationDate": aws.ToString(source.CreationDate),
	}
}
