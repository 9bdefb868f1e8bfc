package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/machine"
	"github.com/goldline-dev/goldline/userdata"
)

// shop is a copy of an example with a local cloud of its own, and one kind
// of machine.
type shop struct {
	t    *testing.T
	dir  string
	kind machine.Kind
}

func newShop(t *testing.T, kind machine.Kind) *shop {
	t.Helper()
	return newExample(t, "shop", kind)
}

func newExample(t *testing.T, name string, kind machine.Kind) *shop {
	t.Helper()
	s := &shop{t: t, dir: filepath.Join(t.TempDir(), "a "+name), kind: kind} // with a space, as folders have
	example := os.DirFS(filepath.Join("..", "..", "examples", name))
	if err := os.CopyFS(s.dir, example); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, ".goldline")); err != nil { // of whoever tried the example where it stands
		t.Fatal(err)
	}
	return s
}

func (s *shop) env() []string {
	return []string{"GOLDLINE_LOCAL_MACHINE=" + string(s.kind), "NO_COLOR=1", "PATH=" + os.Getenv("PATH")}
}

// result is what the tests read of a command's JSON document.
type result struct {
	Outcome  string
	Error    struct{ Message string }
	APICalls struct{ Total int } `json:"api_calls"`
	Stages   []struct {
		Name, State string
		Made        []string
	}
	Deployed []struct {
		Address, Version, State string
		Current                 bool
	}
	To, From struct{ Version string }
}

// do runs a command that must succeed.
func (s *shop) do(line string) result {
	s.t.Helper()
	return s.ends(0, line)
}

// ends runs a command that must end with a code.
func (s *shop) ends(want int, line string) result {
	s.t.Helper()
	args := append(strings.Fields(line), "--local", "--project", s.dir, "-o", "json")
	code, stdout, stderr := goldline(s.t, s.env(), "", args...)
	if code != want {
		s.t.Fatalf("goldline %s: code %d\n%s\n%s", line, code, stdout, stderr)
	}
	var r result
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		s.t.Fatalf("goldline %s: %v\n%s", line, err, stdout)
	}
	return r
}

func (s *shop) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// versions says what runs in an environment: the version by address.
func (s *shop) versions(env string) map[string]string {
	s.t.Helper()
	versions := map[string]string{}
	for _, d := range s.do("images deployed " + env).Deployed {
		if d.State != "running" || !d.Current {
			s.t.Errorf("%s in %s: %+v", d.Address, env, d)
		}
		versions[d.Address] = d.Version
	}
	return versions
}

// inventory is everything that exists in the cloud, without what stays on
// purpose when an environment is taken down.
func (s *shop) inventory(without ...string) []string {
	s.t.Helper()
	lines, err := inventory(filepath.Join(s.dir, ".goldline", "local"))
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.DeleteFunc(lines, func(line string) bool {
		kind, _, _ := strings.Cut(line, ":")
		return slices.ContainsFunc(without, func(kept string) bool { return strings.HasSuffix(kind, " "+kept) })
	})
}

// inventory lists everything that exists in a local cloud that nobody uses, a
// line each: "<account>/<region> <kind>: <thing>".
func inventory(dir string) ([]string, error) {
	local, err := emulator.Open(context.Background(), emulator.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	all, err := local.Inventory()
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, kind := range sortedKeys(all) {
		for _, thing := range all[kind] {
			lines = append(lines, kind+": "+thing)
		}
	}
	return lines, local.Close()
}

var kept = []string{"image", "snapshot", "parameters"}

// orders waits until the database has taken its second order: its volume went
// from one instance to the next with its contents.
const orders = `stages:
  - name: check
    check: {environment: dev, images: [db], console: 'shop: db ready .* orders=2$', deadline: 20s}
`

// TestShopsCloudInitHandler: what the shop's images carry is what the userdata
// package proves with the real cloud-init.
func TestShopsCloudInitHandler(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("..", "..", "examples", "shop", "files", "goldline.py"))
	if err != nil || string(file) != userdata.CloudInitHandler {
		t.Errorf("examples/shop/files/goldline.py is not userdata.CloudInitHandler: %v\n%s", err, file)
	}
	script, err := os.ReadFile(filepath.Join("..", "..", "examples", "shop", "scripts", "base.sh"))
	if err != nil || !strings.Contains(string(script), userdata.CloudInitHandlerPath) {
		t.Errorf("base.sh does not install it at %s: %v", userdata.CloudInitHandlerPath, err)
	}
}

// TestShop takes the example through its life, on every kind of machine that
// this system allows.
func TestShop(t *testing.T) {
	t.Parallel()
	available := machine.Available(t.Context(), t.TempDir())
	for _, kind := range []machine.Kind{machine.Overlay, machine.UserNS, machine.InProcess} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			if !slices.Contains(available, kind) {
				t.Skipf("this system allows %v alone: the shop is not tried on %s", available, kind)
			}
			shopsLife(t, newShop(t, kind))
		})
	}
}

// secondReleaseCalls bounds what a release costs that finds everything done.
const secondReleaseCalls = 60

func shopsLife(t *testing.T, s *shop) {
	s.do("images list")
	before := s.inventory()

	first := s.do("run release")
	if len(first.Stages) != 10 {
		t.Errorf("%d stages, want 10", len(first.Stages))
	}
	for _, stage := range first.Stages {
		if stage.State != "succeeded" {
			t.Errorf("stage %s %s", stage.Name, stage.State)
		}
	}
	again := s.do("run release")
	for _, stage := range again.Stages {
		if len(stage.Made) > 0 {
			t.Errorf("a second release made %v in %s", stage.Made, stage.Name)
		}
	}
	if again.APICalls.Total > secondReleaseCalls {
		t.Errorf("a second release took %d API calls, want at most %d", again.APICalls.Total, secondReleaseCalls)
	}

	released := s.versions("prod")
	s.do("run hotfix")
	fixed := s.versions("prod")
	if fixed["instance.web[1]"] == released["instance.web[1]"] || fixed["instance.db"] != released["instance.db"] {
		t.Errorf("hotfix: %v after %v", fixed, released)
	}
	if back := s.do("rollback web --env prod"); back.To.Version != released["instance.web[0]"] || back.From.Version != fixed["instance.web[0]"] {
		t.Errorf("rolled back from %s to %s", back.From.Version, back.To.Version)
	}
	if now := s.versions("prod"); now["instance.web[0]"] != released["instance.web[0]"] || now["instance.web[1]"] != released["instance.web[1]"] {
		t.Errorf("after the rollback %v runs, want %v", now, released)
	}

	s.do("bake db --rebake")
	s.do("promote db --to dev")
	s.do("launch dev")
	s.write("pipelines/orders.yaml", orders)
	s.do("run orders")

	s.do("run teardown")
	if after := s.inventory(kept...); !slices.Equal(after, before) {
		t.Errorf("after the teardown there is\n%s\nbefore there was\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
	}
}
