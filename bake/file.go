package bake

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// File is the options of the provisioner of that name, with Packer's meanings: a
// source folder with a slash at its end stands for what is in it, and so does a
// destination with one for a folder that is there.
type File struct {
	Source      string   `yaml:"source" doc:"File or folder to copy."`
	Sources     []string `yaml:"sources" doc:"Files and folders to copy."`
	Content     string   `yaml:"content" doc:"Text to write in place of a file."`
	Destination string   `yaml:"destination" required:"true" doc:"Where it goes."`
	Direction   string   `yaml:"direction" enum:"upload,download" doc:"To the builder, or from it." default:"upload"`
	Generated   bool     `yaml:"generated" doc:"The source is made during the bake and need not exist before."`
}

func (f *File) subject() string { return f.Destination }

func (f *File) download() bool { return f.Direction == "download" }

func (f *File) sources() []localFile {
	var all []localFile
	if f.Source != "" {
		all = append(all, localFile{"source", f.Source})
	}
	for i, s := range f.Sources {
		all = append(all, localFile{fmt.Sprintf("sources[%d]", i), s})
	}
	return all
}

func (f *File) files() []localFile {
	if f.download() || f.Generated {
		return nil
	}
	return f.sources()
}

func (f *File) texts() []text {
	return append([]text{{"destination", f.Destination}, {"content", f.Content}, {"source", f.Source}}, textsOf("sources", f.Sources)...)
}

func (f *File) check(p *project.Provisioner, l *diag.List) {
	checkOneOf(p, l, []string{"source", "sources", "content"}, f.Source != "", len(f.Sources) > 0, f.Content != "")
	if f.download() && f.Content != "" {
		l.Addf(p.At("content"), "content can only be uploaded")
	}
}

func (f *File) provision(ctx context.Context, b *bake, p *project.Provisioner) error {
	destination, err := b.renderOption(p, "destination", f.Destination)
	if err != nil {
		return err
	}
	if f.Content != "" {
		content, err := b.renderOption(p, "content", f.Content)
		if err != nil {
			return err
		}
		return b.remote.upload(ctx, destination, []byte(content), 0o644)
	}
	for _, s := range f.sources() {
		source, err := b.renderOption(p, s.key, s.path)
		if err != nil {
			return err
		}
		if f.download() {
			err = f.fetch(ctx, b, source, destination)
		} else {
			err = f.send(ctx, b, p, localFile{s.key, source}, destination)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
	}
	return nil
}

func (f *File) send(ctx context.Context, b *bake, p *project.Provisioner, source localFile, destination string) error {
	local := resolve(b.image, source.path)
	info, err := os.Stat(local)
	if err != nil {
		return fail.Inputf("%s: %s: %w", p.At(source.key), source.key, err)
	}
	if info.IsDir() {
		return b.remote.uploadDir(ctx, destination, local)
	}
	content, err := os.ReadFile(local)
	if err != nil {
		return err
	}
	if strings.HasSuffix(destination, "/") {
		destination = path.Join(destination, filepath.Base(local))
	}
	return b.remote.upload(ctx, destination, content, info.Mode().Perm())
}

// fetch writes a file only when all of it has come.
func (f *File) fetch(ctx context.Context, b *bake, source, destination string) error {
	local := resolve(b.image, destination)
	folder := strings.HasSuffix(destination, "/")
	if strings.HasSuffix(source, "/") {
		if err := os.MkdirAll(local, 0o755); err != nil {
			return err
		}
		return b.remote.downloadDir(ctx, source, local)
	}
	if folder {
		local = filepath.Join(local, path.Base(source))
	}
	var content bytes.Buffer
	if err := b.remote.download(ctx, source, &content); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(local), 0o755); err != nil {
		return err
	}
	return os.WriteFile(local, content.Bytes(), 0o644)
}
