package plugin

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/fail"
)

// installed makes files that are plugins by their names.
func installed(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, strings.ReplaceAll(name, "OS_ARCH", runtime.GOOS+"_"+runtime.GOARCH)+suffix())
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAMissingPluginSaysHowItIsInstalled(t *testing.T) {
	for source, want := range map[string]string{
		"github.com/hashicorp/chef": "packer plugins install github.com/hashicorp/chef puts it there",
		"":                          "packer plugins install github.com/OWNER/chef puts it there",
	} {
		_, _, err := Find([]string{t.TempDir()}, "chef-solo", map[string]Required{"chef": {Source: source}})
		if hints := fail.Hints(err); len(hints) != 1 || hints[0] != want {
			t.Errorf("source %q: %q", source, hints)
		}
	}
}

func TestFind(t *testing.T) {
	const puppet = "github.com/hashicorp/puppet/packer-plugin-puppet_v"
	dir := installed(t,
		puppet+"1.0.9_x5.0_OS_ARCH", puppet+"1.0.10_x5.0_OS_ARCH", puppet+"2.0.0-rc1_x5.0_OS_ARCH", puppet+"1.9.0_x5.0_plan9_arm",
		"example.com/me/happy-cloud/packer-plugin-happy-cloud_v0.1.0_x5.0_OS_ARCH", "packer-plugin-byhand", "github.com/me/byhand/packer-plugin-byhand_v9.0.0_x5.0_OS_ARCH",
	)
	for _, c := range []struct {
		kind, name, source, version string // and what required_plugins says of the name
		want, alias                 string
	}{
		{kind: "puppet-masterless", want: puppet + "1.0.10_x5.0_OS_ARCH", alias: "puppet"},
		{kind: "puppet-masterless", name: "puppet", source: "github.com/hashicorp/puppet", version: "< 1.0.10", want: puppet + "1.0.9_x5.0_OS_ARCH", alias: "puppet"},
		{kind: "puppet-masterless", name: "puppet", source: "hashicorp/puppet", version: "~> 1.0", want: puppet + "1.0.10_x5.0_OS_ARCH", alias: "puppet"},
		{kind: "puppet-masterless", name: "puppet", source: "github.com/hashicorp/puppet", version: "2.0.0-rc1", want: puppet + "2.0.0-rc1_x5.0_OS_ARCH", alias: "puppet"},
		{kind: "happy-cloud-deploy", want: "example.com/me/happy-cloud/packer-plugin-happy-cloud_v0.1.0_x5.0_OS_ARCH", alias: "happy-cloud"},
		{kind: "glad", name: "glad", source: "example.com/me/happy-cloud", want: "example.com/me/happy-cloud/packer-plugin-happy-cloud_v0.1.0_x5.0_OS_ARCH", alias: "glad"},
		{kind: "byhand", want: "packer-plugin-byhand", alias: "byhand"},
		{kind: "byhand", name: "byhand", source: "github.com/me/byhand", version: ">= 1", want: "github.com/me/byhand/packer-plugin-byhand_v9.0.0_x5.0_OS_ARCH", alias: "byhand"},
		{kind: "puppet-masterless", name: "puppet", source: "github.com/hashicorp/puppet", version: ">= 3", want: "no plugin packer-plugin-puppet >= 3, but version 1.0.10, 1.0.9, 2.0.0-rc1 in " + dir},
		{kind: "puppet-masterless", name: "puppet", source: "github.com/other/puppet", want: "no plugin packer-plugin-puppet in " + dir},
		{kind: "salt-masterless", want: "no plugin packer-plugin-salt in " + dir},
	} {
		required := map[string]Required{}
		if c.name != "" {
			required[c.name] = Required{Source: c.source, Version: c.version}
		}
		found, alias, err := Find([]string{dir}, c.kind, required)
		got := strings.TrimPrefix(strings.TrimPrefix(found.Path, dir), string(filepath.Separator))
		if err != nil {
			got, alias = err.Error(), ""
		}
		if want := strings.ReplaceAll(c.want, "OS_ARCH", runtime.GOOS+"_"+runtime.GOARCH); got != want && got != filepath.FromSlash(want)+suffix() || alias != c.alias {
			t.Errorf("%+v: %s (%s), want %s", c, got, alias, want)
		}
	}
}

// A binary that is not the one that was installed is not started.
func TestFindChecksTheDigest(t *testing.T) {
	dir := installed(t, "packer-plugin-x")
	path := filepath.Join(dir, "packer-plugin-x"+suffix())
	digest, err := Digest(path)
	if err != nil {
		t.Fatal(err)
	}
	for text, wanted := range map[string]bool{digest: true, strings.ToUpper(digest) + "\n": true, strings.Repeat("0", 64): false} {
		if err := os.WriteFile(path+"_SHA256SUM", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Find([]string{dir}, "x", nil); (err == nil) != wanted {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestFolders(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has folders of its own")
	}
	for env, want := range map[string]string{
		"HOME=/h": "/h/.packer.d/plugins /h/.config/packer/plugins",
		"HOME=/h XDG_CONFIG_HOME=/x PACKER_CONFIG_DIR=/c":                     "/c/.packer.d/plugins /h/.packer.d/plugins /x/packer/plugins",
		"HOME=/h PACKER_PLUGIN_PATH=/a" + string(os.PathListSeparator) + "/b": "/a /b",
	} {
		set := map[string]string{}
		for _, pair := range strings.Fields(env) {
			name, value, _ := strings.Cut(pair, "=")
			set[name] = value
		}
		if got := strings.Join(Folders(func(name string) string { return set[name] }), " "); got != want {
			t.Errorf("%s: %s, want %s", env, got, want)
		}
	}
}
