package bake

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// folderTaker notes what it is asked to upload.
type folderTaker struct {
	packersdk.Communicator
	from string
	all  map[string]string
}

func (f *folderTaker) UploadDir(_, src string, _ []string) error {
	f.from, f.all = src, map[string]string{}
	return filepath.WalkDir(src, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, _ := filepath.Rel(src, path)
		text, err := os.ReadFile(path)
		f.all[name] = string(text)
		if info, statErr := os.Stat(path); statErr == nil && info.Mode().Perm()&0o100 != 0 {
			f.all[name] += " runs"
		}
		return err
	})
}

// TestUploadFolder: what is Goldline's own is neither uploaded nor part of the
// fingerprint, whichever way the folder is named.
func TestUploadFolder(t *testing.T) {
	dir := t.TempDir()
	app := filepath.Join(dir, "app")
	write := func(name, text string, mode fs.FileMode) {
		path := filepath.Join(app, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("run", "go", 0o755)
	write("conf/a", "1", 0o600)
	for link, to := range map[string]string{"app/conf/b": "a", "link": "app"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	plain, err := digestPath(app)
	if err != nil {
		t.Fatal(err)
	}
	comm := &folderTaker{}
	if err := uploadFolder(comm, "/srv", app, nil); err != nil || comm.from != app {
		t.Errorf("uploaded from %s, %v", comm.from, err)
	}
	write(".goldline/digest.key", "secret", 0o600)
	write("conf/.goldline/runs/1", "secret", 0o600)
	if own, err := digestPath(app); err != nil || own != plain {
		t.Errorf("another fingerprint: %v", err)
	}
	for src, base := range map[string]string{app: "app", app + "/": "", filepath.Join(dir, "link"): "link", app + "/.": ""} {
		if err := uploadFolder(comm, "/srv", src, nil); err != nil {
			t.Fatal(err)
		}
		if base == "" && !strings.HasSuffix(comm.from, "/") || base != "" && filepath.Base(comm.from) != base {
			t.Errorf("%s: uploaded from %s", src, comm.from)
		}
		if len(comm.all) != 3 || comm.all["run"] != "go runs" || comm.all["conf/a"] != "1" || comm.all["conf/b"] != "1" {
			t.Errorf("%s: uploaded %v", src, comm.all)
		}
		if _, err := os.Stat(comm.from); err == nil {
			t.Errorf("%s is left", comm.from)
		}
	}
}
