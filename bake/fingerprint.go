package bake

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// The fingerprint of a build is a digest over all that the contents and the
// attributes of its AMI follow from:
//
//   - the ID and the architecture of the source image, as it was resolved; of a
//     build for several architectures those of each
//   - the keys of the recipe in countedKeys, as they are written
//   - every provisioner that applies to the image: its type and all of its
//     options, in their order
//   - contents and permissions of every file and folder that one reads, and of
//     user_data_file
//   - the values of variables, by the options that they stand in
//   - the version of this list, fingerprintFormat
//
// Template functions count as they are written, so that {{isotime}} does not
// make every bake a new one; nor does HCL2's timestamp(), for which the recipe
// counts as it would be at a fixed time. What only says how the builder is reached,
// how long something may take, what tags are given or what is tested does not count, nor does a
// file whose provisioner says `generated: true`: it need not exist yet.
const fingerprintFormat = "1"

// The inputs of which a build for several architectures has one for each.
const (
	sourceInput       = "source image"
	architectureInput = "architecture"
)

// countedKeys are the keys of a recipe that count besides source and
// provisioners. An instance's type, subnet and the like give the same image.
var countedKeys = []string{
	"version", "ami_name", "ami_description",
	"user_data", "encrypt_boot", "kms_key_id",
	"launch_block_device_mappings", "ami_block_device_mappings",
	"ssh_username", "ena_support", "imds_support", "sriov_support", "boot_mode",
}

// fingerprint lists the inputs of a recipe and digests them. source and
// architecture are those of the resolved source image.
func fingerprint(image *project.Image, source, architecture string, hide redactor) ([]Input, string, error) {
	if image.Lasting != nil {
		image = image.Lasting
	}
	inputs := []Input{
		{Name: "format", Digest: digestOf(fingerprintFormat), Value: fingerprintFormat},
		{Name: sourceInput, Digest: digestOf(source), Value: source},
		{Name: architectureInput, Digest: digestOf(architecture), Value: architecture},
	}
	keys, err := recipeInputs(image, countedKeys, hide)
	if err != nil {
		return nil, "", err
	}
	inputs = append(inputs, keys...)
	for n, p := range image.Provisioners {
		if !applies(p, image.Name) {
			continue
		}
		more, err := provisionerInputs(image, n, p, hide)
		if err != nil {
			return nil, "", err
		}
		inputs = append(inputs, more...)
	}
	return inputs, digestInputs(inputs), nil
}

// digestInputs is the fingerprint that inputs come to.
func digestInputs(inputs []Input) string {
	parts := make([]string, 0, 2*len(inputs))
	for _, in := range inputs {
		parts = append(parts, in.Name, in.Digest)
	}
	return digestOf(parts...)
}

func recipeInputs(image *project.Image, counted []string, hide redactor) ([]Input, error) {
	fields := yamlFields(reflect.ValueOf(image).Elem())
	var inputs []Input
	for _, key := range counted {
		v, ok := fields[key]
		if !ok || v.IsZero() {
			continue
		}
		text, err := json.Marshal(v.Interface())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		in := Input{Name: key, Digest: digestOf(string(text)), Value: strings.Trim(string(text), `"`)}
		in.secret = hide.holds(string(text))
		if key == "user_data" || len(text) > 100 || in.secret {
			in.Value = ""
		}
		inputs = append(inputs, in)
	}
	if file := image.UserDataFile; file != "" {
		digest, err := digestPath(resolve(image, file))
		if err != nil {
			return nil, fail.Inputf("%s: user_data_file: %w", image.At("user_data_file"), err)
		}
		inputs = append(inputs, Input{Name: "user_data_file: " + file, Digest: digest})
	}
	return inputs, nil
}

// provisionerInput is what the names of a provisioner's inputs begin with.
const provisionerInput = "provisioner %d"

func provisionerInputs(image *project.Image, n int, p *project.Provisioner, hide redactor) ([]Input, error) {
	label := fmt.Sprintf(provisionerInput, n+1)
	options, ok := p.Options.(provisioner)
	if !ok {
		return nil, fail.Inputf("%s: provisioner type %q is not known", p.Pos, p.Type)
	}
	text, err := json.Marshal(p.Options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", label, err)
	}
	inputs := []Input{{Name: fmt.Sprintf("%s: %s options", label, p.Type), Digest: digestOf(p.Type, string(text)), secret: hide.holds(string(text))}}
	for _, f := range options.files() {
		digest, err := digestPath(resolve(image, f.path))
		if err != nil {
			return nil, fail.Inputf("%s: %s: %w", p.At(f.key), f.key, err)
		}
		inputs = append(inputs, Input{Name: label + ": " + f.path, Digest: digest})
	}
	return inputs, nil
}

// yamlFields are the fields of a struct by their keys.
func yamlFields(v reflect.Value) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		key, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if options == "inline" {
			maps.Copy(fields, yamlFields(v.Field(i)))
			continue
		}
		if key != "" && key != "-" {
			fields[key] = v.Field(i)
		}
	}
	return fields
}

// resolve is where a path in a recipe leads.
func resolve(image *project.Image, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	joined := filepath.Join(image.Dir, path)
	if strings.HasSuffix(path, "/") {
		joined += "/" // it says that the contents are meant, not the folder
	}
	return joined
}

// architectureOf is the source image's architecture.
func (b *bake) architectureOf() string { return string(b.source.Architecture) }

func (b *bake) takeInputs(ctx context.Context) error {
	if f := b.family; f != nil {
		return f.sourced.join(ctx, func(ctx context.Context) error {
			if err := f.takeInputs(); err != nil {
				return err
			}
			return f.takeVersion(ctx)
		})
	}
	var err error
	b.inputs, b.fingerprint, err = fingerprint(b.image, aws.ToString(b.source.ImageId), b.architectureOf(), b.hide.redactor())
	if err != nil {
		return err
	}
	if b.tests, err = testsDigest(b.image); err != nil {
		return err
	}
	b.inputs, err = sealInputs(b.options.Dir, b.inputs)
	return err
}

// short is the part of a fingerprint that stands in names.
func short(fingerprint string) string { return fingerprint[:min(8, len(fingerprint))] }
