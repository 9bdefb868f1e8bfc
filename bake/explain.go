package bake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/ledger"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Explanation says whether a bake would find an existing build, and if not, why.
type Explanation struct {
	Image       string        `json:"image"`
	Fingerprint string        `json:"fingerprint"`
	Hit         bool          `json:"hit"`
	AMI         string        `json:"ami,omitempty"` // the build that is reused, or the newest, which Changed compares with
	Changed     []InputChange `json:"changed,omitempty"`
	// Note says why Changed is empty without a hit: there is no build yet, the one
	// with these inputs is revoked, or those of the newest are not known on this
	// machine. With a hit it says that
	// the build would be tested again.
	Note string `json:"note,omitempty"`
	// FirstStep is the first provisioner that differs, counted from 1. It is 0 where
	// nothing is compared, where something differs that all of them build on, and
	// where none does.
	FirstStep int `json:"first_step,omitempty"`
	// Base is the image of a step that the bake would start from, and BaseStep the
	// provisioner after which it was kept.
	Base     string `json:"base,omitempty"`
	BaseStep int    `json:"base_step,omitempty"`
}

// InputChange is one input that differs. Was or Is is empty for an input that is
// new or gone; for a file they are digests.
type InputChange struct {
	Name string `json:"name"`
	Was  string `json:"was,omitempty"`
	Is   string `json:"is,omitempty"`
}

// Explain compares the inputs of a recipe with those of the newest build of its
// image. A recipe that starts from an image of which this Baker explained that
// it would be baked would be so too, whatever its own inputs. It changes
// nothing.
func (b *Baker) Explain(ctx context.Context, image *project.Image) (Explanation, error) {
	e, err := b.explain(ctx, image)
	if err != nil {
		return e, fmt.Errorf("explain %s: %w", image.Name, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stale[image.Name] = !e.Hit
	return e, nil
}

func (b *Baker) explain(ctx context.Context, image *project.Image) (Explanation, error) {
	e := Explanation{Image: image.Name}
	f, err := b.gather(variants(image))
	if err != nil {
		return e, err
	}
	k := f.members[0]
	b.mu.Lock()
	behind := b.stale[image.SourceImage]
	b.mu.Unlock()
	if behind {
		e.Note = fmt.Sprintf("%s, which it starts from, would be baked", image.SourceImage)
		return e, nil
	}
	if err := f.inputs(ctx); err != nil {
		return e, err
	}
	e.Fingerprint = k.fingerprint
	builds, err := b.buildsOf(ctx, image.Name)
	if err != nil {
		return e, err
	}
	newest, same := k.among(builds)
	if same != nil {
		e.Hit, e.AMI = true, aws.ToString(same.ImageId)
		if k.tests != "" && cloud.TagSet(same.Tags)[tags.Tested] != k.tests {
			e.Note = "its tests have changed since: it would be tested again"
		}
		return e, nil
	}
	if err := k.findBases(ctx); err != nil {
		return e, err
	}
	if len(k.bases) > 0 {
		e.Base, e.BaseStep = k.bases[0].id(), k.startsAfter()
	}
	if ami, why, err := b.revoked(ctx, image.Name, k.fingerprint); err != nil || ami != "" {
		e.AMI, e.Note = ami, fmt.Sprintf("the build with these inputs is revoked: %s", why)
		return e, err
	}
	if newest == nil {
		e.Note = "there is no build of it yet"
		return e, nil
	}
	e.AMI = aws.ToString(newest.ImageId)
	earlier, err := loadInputs(b.options.Dir, cloud.TagSet(newest.Tags)[tags.Fingerprint])
	if err != nil {
		e.Note = fmt.Sprintf("the inputs of %s are %v", e.AMI, err)
		return e, nil
	}
	e.Changed = compare(earlier, k.inputs)
	e.FirstStep = firstStep(e.Changed)
	return e, nil
}

// among finds the newest of a recipe's builds that can be used or is about to be,
// and the one with the recipe's inputs; nil for none. builds are the newest first.
func (b *bake) among(builds []types.Image) (newest, same *types.Image) {
	for i, ami := range builds {
		if ami.State != types.ImageStateAvailable && ami.State != types.ImageStatePending {
			continue
		}
		if newest == nil {
			newest = &builds[i]
		}
		if cloud.TagSet(ami.Tags)[tags.Fingerprint] == b.fingerprint && b.isOf(ami) {
			return newest, &builds[i]
		}
	}
	return newest, nil
}

// firstStep is the first provisioner that an input belongs to which differs.
func firstStep(changes []InputChange) int {
	first := 0
	for _, c := range changes {
		var n int
		if _, err := fmt.Sscanf(c.Name, provisionerInput, &n); err == nil {
			if first == 0 || n < first {
				first = n
			}
			continue
		}
		key, _, _ := strings.Cut(c.Name, ":")
		if !slices.Contains(countedKeys, key) || slices.Contains(builderKeys, key) {
			return 0
		}
	}
	return first
}

// compare lists the inputs that differ: first, in their order, those that are,
// then those that were.
func compare(was, is []Input) []InputChange {
	before := map[string]Input{}
	for _, in := range was {
		before[in.Name] = in
	}
	var changes []InputChange
	now := map[string]bool{}
	for _, in := range is {
		now[in.Name] = true
		old, known := before[in.Name]
		if known && old.Digest == in.Digest {
			continue
		}
		c := InputChange{Name: in.Name, Is: shown(in)}
		if known {
			c.Was = shown(old)
		}
		changes = append(changes, c)
	}
	for _, in := range was {
		if !now[in.Name] {
			changes = append(changes, InputChange{Name: in.Name, Was: shown(in)})
		}
	}
	return changes
}

func shown(in Input) string {
	if in.Value != "" {
		return in.Value
	}
	return short(in.Digest)
}

// errUnknownInputs says that another machine made a build.
var errUnknownInputs = errors.New("not known on this machine")

// inputsFile is where the inputs of a build are kept. They are of use on this
// machine only: elsewhere the files that they digest may not be there.
func inputsFile(dir, fingerprint string) string {
	return filepath.Join(dir, ledger.Folder, "builds", fingerprint+".json")
}

// saveInputs writes the whole file or none. Others may not read it: a digest of
// a short secret is soon guessed.
func saveInputs(dir, fingerprint string, inputs []Input) error {
	path := inputsFile(dir, fingerprint)
	text, err := json.Marshal(inputs)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".inputs-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

func loadInputs(dir, fingerprint string) ([]Input, error) {
	text, err := os.ReadFile(inputsFile(dir, fingerprint))
	if err != nil {
		return nil, errUnknownInputs
	}
	var inputs []Input
	if err := json.Unmarshal(text, &inputs); err != nil {
		return nil, errUnknownInputs
	}
	return inputs, nil
}
