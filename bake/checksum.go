package bake

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// Checksum is the options of the post-processor of that name, with Packer's
// meanings. An AMI is no local file: without artifice before it in its chain
// there is nothing to sum.
type Checksum struct {
	Types  []string `yaml:"checksum_types" enum:"md5,sha1,sha224,sha256,sha384,sha512" doc:"Kinds of checksum." default:"md5"`
	Output string   `yaml:"output" doc:"The file; {{.BuildName}}, {{.BuilderType}} and {{.ChecksumType}} stand for their values." default:"packer_{{.BuildName}}_{{.BuilderType}}_{{.ChecksumType}}.checksum"`
}

const checksumOutput = "packer_{{.BuildName}}_{{.BuilderType}}_{{.ChecksumType}}.checksum"

func newHash(kind string) hash.Hash {
	switch kind {
	case "md5":
		return md5.New()
	case "sha1":
		return sha1.New()
	case "sha224":
		return sha256.New224()
	case "sha256":
		return sha256.New()
	case "sha384":
		return sha512.New384()
	}
	return sha512.New()
}

func (c *Checksum) check(p *project.Provisioner, l *diag.List) {
	data := map[string]string{"BuildName": "b", "BuilderType": builderType, "ChecksumType": "md5"}
	if _, err := (templater{}).render(orText(c.Output, checksumOutput), data); err != nil {
		addTemplateProblem(l, p.At("output"), "output", err)
	}
}

func (c *Checksum) process(_ context.Context, b *bake, p *project.Provisioner, a artifact) (artifact, error) {
	types := c.Types
	if len(types) == 0 {
		types = []string{"md5"}
	}
	out := artifact{id: a.id}
	for _, kind := range types {
		data := map[string]string{"BuildName": buildName(b.image), "BuilderType": builderType, "ChecksumType": kind}
		name, err := b.templater().render(orText(c.Output, checksumOutput), data)
		if err != nil {
			return a, fail.Input(fmt.Errorf("%s: output: %w", p.At("output"), err))
		}
		var text bytes.Buffer
		for _, file := range a.files {
			sum, err := sumOf(resolve(b.image, file), kind)
			if err != nil {
				return a, err
			}
			fmt.Fprintf(&text, "%s\t%s\n", sum, filepath.Base(file))
		}
		if len(a.files) == 0 {
			continue
		}
		if err := replaceFile(resolve(b.image, name), text.Bytes()); err != nil {
			return a, err
		}
		out.files = append(out.files, name)
	}
	return out, nil
}

func sumOf(path, kind string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := newHash(kind)
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Artifice is the options of the post-processor of that name.
type Artifice struct {
	Files []string `yaml:"files" required:"true" doc:"The files, patterns allowed."`
}

func (a *Artifice) check(*project.Provisioner, *diag.List) {}

func (a *Artifice) process(_ context.Context, b *bake, p *project.Provisioner, in artifact) (artifact, error) {
	in.files = nil
	for i, pattern := range a.Files {
		found, err := filepath.Glob(resolve(b.image, pattern))
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("no file matches %s", pattern)
		}
		if err != nil {
			return in, fail.Inputf("%s: %w", p.At(fmt.Sprintf("files[%d]", i)), err)
		}
		in.files = append(in.files, found...)
	}
	return in, nil
}
