package userdata

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// boot is what became of a boot of the real cloud-init.
type boot struct{ status, result, userData, seen, warnings string }

func cloudInit(t *testing.T, userData []byte, handler bool) boot {
	t.Helper()
	scratch, result := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(scratch, "user-data"), userData, 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"--mount", "--uts", "--net", "--pid", "--ipc", "--fork", "sh", filepath.Join("testdata", "boot.sh"), scratch, result}
	if handler {
		file := filepath.Join(result, "handler.py")
		if err := os.WriteFile(file, []byte(CloudInitHandler), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	out, err := exec.CommandContext(t.Context(), "unshare", args...).CombinedOutput()
	read := func(name string) string {
		data, _ := os.ReadFile(filepath.Join(result, name))
		return string(data)
	}
	if err != nil {
		t.Fatalf("boot: %v\n%s\n%s", err, out, read("log"))
	}
	var warnings []string
	for _, line := range regexp.MustCompile(`(?m)^.*\[(WARNING|ERROR|CRITICAL)\]: (.*)$`).FindAllStringSubmatch(read("log"), -1) {
		warnings = append(warnings, line[2])
	}
	return boot{read("status"), read("result.json"), read("user-data"), strings.TrimSpace(read("seen")), strings.Join(warnings, "\n")}
}

func needCloudInit(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: booting cloud-init wants root")
	}
	for _, program := range []string{"cloud-init", "unshare", "chroot"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: %s is not installed (Debian: apt-get install cloud-init)", program)
		}
	}
	scratch := t.TempDir()
	try := `mount --make-rprivate / && mount -t tmpfs tmpfs "$1" && mkdir "$1/u" "$1/w" "$1/r" && mount -t overlay overlay -o "lowerdir=/,upperdir=$1/u,workdir=$1/w" "$1/r"`
	if out, err := exec.Command("unshare", "--mount", "--uts", "--net", "--pid", "--ipc", "--fork", "sh", "-c", try, "sh", scratch).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no namespaces or no overlay here: %v: %s", err, bytes.TrimSpace(out))
	}
}

// TestCloudInitBootsCleanly boots Debian's cloud-init with the document as the
// instance's user data, with the handler on the image and without.
func TestCloudInitBootsCleanly(t *testing.T) {
	needCloudInit(t)
	data, err := sample().Render()
	if err != nil {
		t.Fatal(err)
	}
	// What cloud-init says with no user data at all is not the document's doing.
	baseline := cloudInit(t, nil, false).warnings
	for _, handler := range []bool{false, true} {
		b := cloudInit(t, data, handler)
		if !strings.Contains(b.status, "done") || !strings.Contains(b.result, `"errors": []`) {
			t.Errorf("handler %v: the boot failed: %s%s", handler, b.status, b.result)
		}
		if b.userData != string(data) {
			t.Errorf("handler %v: other user data was kept:\n%s", handler, b.userData)
		}
		if b.seen != "20261121-1" {
			t.Errorf("handler %v: the per-boot script read %q as the version", handler, b.seen)
		}
		more := strings.TrimSpace(strings.Replace(b.warnings, baseline, "", 1))
		if handler && more != "" {
			t.Errorf("with the handler on the image cloud-init warns: %s", more)
		}
		if !handler && more != `Unhandled non-multipart (text/x-not-multipart) userdata: 'b'{'...'` {
			t.Errorf("without the handler cloud-init warns otherwise than the guide says: %q", more)
		}
	}
}

// TestCloudInitMIMETrap shows why Render refuses some text: cloud-init looks
// for it anywhere in the first 4096 bytes.
func TestCloudInitMIMETrap(t *testing.T) {
	needCloudInit(t)
	d := sample()
	d.Extra = map[string]any{"note": "mime-version here"}
	data, err := d.Render()
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.Replace(data, []byte("mime-version here"), []byte("mime-version: 1.0"), 1)
	if b := cloudInit(t, data, true); !strings.Contains(b.warnings, "Unhandled unknown content-type") {
		t.Errorf("cloud-init no longer takes it for a MIME message; Render need not refuse it: %q", b.warnings)
	}
}
