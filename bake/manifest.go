package bake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/google/uuid"
)

// Manifest is the options of the post-processor of that name, with Packer's
// meanings.
type Manifest struct {
	Output     string            `yaml:"output" doc:"The file." default:"packer-manifest.json"`
	StripPath  bool              `yaml:"strip_path" doc:"Name files without their folders."`
	StripTime  bool              `yaml:"strip_time" doc:"Leave the time of the build out."`
	CustomData map[string]string `yaml:"custom_data" doc:"More that stands beside the build."`
}

// manifestFile is the file as Packer writes it.
type manifestFile struct {
	Builds      []manifestBuild `json:"builds"`
	LastRunUUID string          `json:"last_run_uuid"`
}

type manifestBuild struct {
	Name          string            `json:"name"`
	BuilderType   string            `json:"builder_type"`
	BuildTime     int64             `json:"build_time,omitempty"`
	Files         []manifestEntry   `json:"files"`
	ArtifactID    string            `json:"artifact_id"`
	PackerRunUUID string            `json:"packer_run_uuid"`
	CustomData    map[string]string `json:"custom_data"`
}

type manifestEntry struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

func (m *Manifest) check(p *project.Provisioner, l *diag.List) {
	for key, value := range m.CustomData {
		if _, err := (templater{}).render(value, sampleData()); err != nil {
			addTemplateProblem(l, p.At("custom_data."+key), "custom_data."+key, err)
		}
	}
}

// process adds the build to the file. A build that stands there already, by name
// and ID, keeps one entry.
func (m *Manifest) process(_ context.Context, b *bake, p *project.Provisioner, a artifact) (artifact, error) {
	entry := manifestBuild{
		Name: buildName(b.image), BuilderType: builderType, ArtifactID: a.id,
		PackerRunUUID: uuid.NewSHA1(uuid.NameSpaceURL, []byte("goldline run "+b.options.Run)).String(),
	}
	if !m.StripTime {
		entry.BuildTime = time.Now().Unix()
	}
	for key, value := range m.CustomData {
		text, err := b.renderOption(p, "custom_data."+key, value)
		if err != nil {
			return a, err
		}
		if entry.CustomData == nil {
			entry.CustomData = map[string]string{}
		}
		entry.CustomData[key] = text
	}
	for _, name := range a.files {
		info, err := os.Stat(resolve(b.image, name))
		if err != nil {
			return a, err
		}
		if m.StripPath {
			name = filepath.Base(name)
		}
		entry.Files = append(entry.Files, manifestEntry{name, info.Size()})
	}
	b.files.Lock() // the builds of a run may share the file
	defer b.files.Unlock()
	return a, addToManifest(resolve(b.image, orText(m.Output, "packer-manifest.json")), entry)
}

func addToManifest(path string, entry manifestBuild) error {
	var whole manifestFile
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(text, &whole); err != nil {
			return fmt.Errorf("%s is there, but is no manifest: %w", path, err)
		}
	}
	kept := whole.Builds[:0]
	for _, old := range whole.Builds {
		if old.Name != entry.Name || old.ArtifactID != entry.ArtifactID {
			kept = append(kept, old)
		}
	}
	whole.Builds, whole.LastRunUUID = append(kept, entry), entry.PackerRunUUID
	if text, err = json.MarshalIndent(whole, "", "  "); err != nil {
		return err
	}
	return replaceFile(path, text)
}

// replaceFile writes a file whole or not at all.
func replaceFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
