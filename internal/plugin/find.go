package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"
)

// prefix is how the names of all plugins' files begin.
const prefix = "packer-plugin-"

// Required is what a template's required_plugins says of one.
type Required struct {
	Source  string // github.com/hashicorp/puppet; may be empty
	Version string // constraints, such as ">= 1.0.1"; empty for any
}

// Missing says that no plugin is there for a type.
type Missing struct {
	Name     string
	Required Required
	Folders  []string // that were searched
	Others   []string // versions that are there and do not satisfy the template
}

func (m *Missing) Error() string {
	text := fmt.Sprintf("no plugin %s%s", prefix, m.Name)
	if m.Required.Version != "" {
		text += " " + m.Required.Version
	}
	if len(m.Others) > 0 {
		text += ", but version " + strings.Join(m.Others, ", ")
	}
	return text + " in " + strings.Join(m.Folders, ", ")
}

// Hint says how the plugin comes to be there.
func (m *Missing) Hint() string {
	source := m.Required.Source
	if source == "" {
		source = "github.com/OWNER/" + m.Name
	}
	return "packer plugins install " + source + " puts it there"
}

// Folders are those that plugins are looked for in, in the order of their rank:
// PACKER_PLUGIN_PATH alone where that is set, or Packer's own.
func Folders(getenv func(string) string) []string {
	if given := getenv("PACKER_PLUGIN_PATH"); given != "" {
		return filepath.SplitList(given)
	}
	var folders []string
	add := func(base string, rest ...string) {
		if base != "" {
			folders = append(folders, filepath.Join(append([]string{base}, rest...)...))
		}
	}
	add(getenv("PACKER_CONFIG_DIR"), ".packer.d", "plugins")
	if runtime.GOOS == "windows" {
		add(getenv("APPDATA"), "packer.d", "plugins")
		return folders
	}
	add(getenv("HOME"), ".packer.d", "plugins")
	if config := getenv("XDG_CONFIG_HOME"); config != "" {
		add(config, "packer", "plugins")
	} else {
		add(getenv("HOME"), ".config", "packer", "plugins")
	}
	return folders
}

// Find gives the plugin that a provisioner's type means, and what the template
// calls it: the longest name in required that the type begins with, or else the
// longest name of an installed plugin. Of several versions the newest that
// satisfies the template counts; a file without a version goes before them, as
// somebody put it there by hand.
func Find(folders []string, kind string, required map[string]Required) (p Plugin, alias string, err error) {
	for _, alias := range names(kind) {
		want, listed := required[alias]
		name := alias
		if of := sourceName(want.Source); of != "" {
			name = of
		}
		found, others := lookFor(folders, name, want)
		if found.Path != "" {
			return found, alias, intact(found.Path)
		}
		if listed || len(others) > 0 {
			return Plugin{}, alias, &Missing{Name: name, Required: want, Folders: folders, Others: others}
		}
	}
	return Plugin{}, "", &Missing{Name: names(kind)[len(names(kind))-1], Folders: folders}
}

// names are what the plugin of a type may be called, the longest first: a-b-c,
// a-b, a.
func names(kind string) []string {
	list := []string{kind}
	for at := strings.LastIndexByte(kind, '-'); at > 0; at = strings.LastIndexByte(kind[:at], '-') {
		list = append(list, kind[:at])
	}
	return list
}

// sourceName is the name of a plugin by its source, whose repository may bear the
// prefix.
func sourceName(source string) string {
	if source == "" {
		return ""
	}
	return strings.TrimPrefix(filepath.Base(source), prefix)
}

// lookFor searches the folders for a plugin: a file of its name, or a release
// below HOST/NAMESPACE/NAME. others are versions that do not satisfy want.
func lookFor(folders []string, name string, want Required) (best Plugin, others []string) {
	constraints, err := version.NewConstraint(want.Version)
	if err != nil { // none: CheckRequired has reported a wrong one
		constraints = version.MustConstraints(version.NewConstraint(">= 0")) // which no pre-release satisfies
	}
	var newest *version.Version
	for _, folder := range folders {
		plain := filepath.Join(folder, prefix+name+suffix())
		if executable(plain) && want.Version == "" {
			return Plugin{Name: name, Path: plain}, nil
		}
		pattern := filepath.Join(folder, "*", "*", name, prefix+name+"_v*_"+runtime.GOOS+"_"+runtime.GOARCH+suffix())
		if want.Source != "" {
			pattern = filepath.Join(folder, filepath.FromSlash(hostOf(want.Source)), name, filepath.Base(pattern))
		}
		found, _ := filepath.Glob(pattern) // the pattern is well formed
		for _, path := range found {
			text := versionIn(path, name)
			v, err := version.NewVersion(text)
			if err != nil || !executable(path) {
				continue
			}
			if !constraints.Check(v) {
				others = append(others, text)
				continue
			}
			if newest == nil || v.GreaterThan(newest) {
				newest, best = v, Plugin{Name: name, Path: path, Version: text}
			}
		}
	}
	slices.Sort(others)
	return best, others
}

// hostOf is the part of a source before its name: github.com/hashicorp.
func hostOf(source string) string {
	parts := strings.Split(source, "/")
	if len(parts) == 2 {
		return "github.com/" + parts[0]
	}
	return strings.Join(parts[:len(parts)-1], "/")
}

// versionIn is the version in the name of a release's file:
// packer-plugin-NAME_v1.0.2_x5.0_linux_amd64.
func versionIn(path, name string) string {
	text, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), prefix+name+"_v"), "_")
	return text
}

// CheckRequired says what is wrong with a version of required_plugins.
func CheckRequired(r Required) error {
	if r.Version == "" {
		return nil
	}
	_, err := version.NewConstraint(r.Version)
	return err
}

func suffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0)
}

// intact compares a binary with the digest that Packer put beside it as it was
// installed. One that was put there by hand has none.
func intact(path string) error {
	want, err := os.ReadFile(path + "_SHA256SUM")
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("plugin %s: %w", path, err)
	}
	got, err := Digest(path)
	if err == nil && !strings.EqualFold(strings.TrimSpace(string(want)), got) {
		err = fmt.Errorf("plugin %s is not the one that was installed: its SHA-256 is %s, the file beside it says %s", path, got, strings.TrimSpace(string(want)))
	}
	return err
}

// Digest is the SHA-256 of a binary, in hexadecimal.
func Digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("plugin: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("plugin %s: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
