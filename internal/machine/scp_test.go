package machine

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// scpSession drives the machine's side of scp by hand: what goes in, and all
// that comes out.
func (r *rig) scpSession(command, input string) (string, error) {
	r.t.Helper()
	client := r.dial()
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		r.t.Fatal(err)
	}
	defer session.Close()
	in, err := session.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	var out bytes.Buffer
	session.Stdout = &out
	if err := session.Start(command); err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.WriteString(in, input); err != nil {
		r.t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		r.t.Fatal(err)
	}
	err = session.Wait()
	return out.String(), err
}

// TestPackersWay goes through what Packer's provisioners send.
func TestPackersWay(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := newRig(t, kind)
		script := "#!/bin/sh -e\necho \"$PACKER_BUILD_NAME $(id -u)\"\nexit 7\n"
		if _, err := r.scpSession("scp -vt /tmp", fmt.Sprintf("C0644 %d script_1234.sh\n", len(script))+script+"\x00"); err != nil {
			t.Fatalf("upload of %d bytes: %v", len(script), err)
		}
		for _, step := range []struct {
			command, out string
			exit         int
		}{
			{"chmod 0755 /tmp/script_1234.sh", "", 0},
			{"chmod +x /tmp/script_1234.sh; PACKER_BUILD_NAME='web' PACKER_BUILDER_TYPE='amazon-ebs' sudo -E sh '/tmp/script_1234.sh'", "web 0\n", 7},
			{"chmod +x /tmp/script_1234.sh; PACKER_BUILD_NAME='web' PACKER_BUILDER_TYPE='amazon-ebs' /tmp/script_1234.sh | cut -d' ' -f1", "web\n", 0},
			{"rm -f /tmp/script_1234.sh", "", 0},
			{"ls /tmp/script_1234.sh 2>/dev/null | wc -l", "0\n", 0},
		} {
			if out, stderr, exit := r.try(step.command); out != step.out || exit != step.exit {
				t.Errorf("%s: %q, %d (%s), want %q, %d", step.command, out, exit, stderr, step.out, step.exit)
			}
		}
		if _, err := r.scpSession("sudo scp -vt /etc", "C0600 2 as-root\nx\n\x00"); err != nil {
			t.Error(err)
		}
		r.says("sudo cat /etc/as-root; sudo stat -c %a /etc/as-root", "x\n600")
		r.sh("mkdir /tmp/up")
		if _, err := r.scpSession("scp -rvt /tmp/up", "D0755 0 app\nC0755 2 a\na\n\x00D0700 0 deep\nC0644 2 b\nb\n\x00E\nE\n"); err != nil {
			t.Error(err)
		}
		r.says("cd /tmp/up/app && cat a deep/b && stat -c %a a deep", "a\nb\n755\n700")
		if out, err := r.scpSession("scp -vf /tmp/up/app/a", "\x00\x00\x00"); err != nil || out != "C0755 2 a\na\n\x00" {
			t.Errorf("download: %q, %v", out, err)
		}
		if out, err := r.scpSession("scp -rf /tmp/up/app/deep", "\x00\x00\x00\x00\x00"); err != nil || out != "D0700 0 deep\nC0644 2 b\nb\n\x00E\n" {
			t.Errorf("download of a folder: %q, %v", out, err)
		}
		if out, err := r.scpSession("scp -t /tmp", "C0644 2 ../escape\nx\n\x00"); err == nil {
			t.Errorf("a name with a slash was taken: %q", out)
		}
		if _, err := r.scpSession("scp -t /no/such/folder/", "C0644 2 x\n"); err == nil {
			t.Error("an upload into nothing succeeded")
		}
	})
}

// TestClients uses OpenSSH's own programs.
func TestClients(t *testing.T) {
	if _, err := exec.LookPath("scp"); err != nil {
		t.Skip("OpenSSH's clients are not installed")
	}
	kinds(t, func(t *testing.T, kind Kind) {
		r := newRig(t, kind)
		dir := testDir(t)
		identity := filepath.Join(dir, "key")
		if err := os.WriteFile(identity, []byte(r.key.private), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, "tree", "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "tree", "sub", "file"), bytes.Repeat([]byte("0123456789"), 100_000), 0o644); err != nil {
			t.Fatal(err)
		}
		at := r.machine.SSH()
		port, host := strconv.Itoa(int(at.Port())), "admin@"+at.Addr().String()
		options := []string{"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "-F", "none", "-i", identity}
		for _, protocol := range []string{"-O", "-s"} {
			for i, arguments := range [][]string{{filepath.Join(dir, "tree"), host + ":/tmp/copy" + protocol}, {host + ":/tmp/copy" + protocol, filepath.Join(dir, "back"+protocol)}} {
				command := exec.CommandContext(t.Context(), "scp", append(append(append([]string{}, options...), protocol, "-r", "-P", port), arguments...)...)
				if out, err := command.CombinedOutput(); err != nil {
					t.Fatalf("scp %s, step %d: %v\n%s", protocol, i, err, out)
				}
			}
			if info, err := os.Stat(filepath.Join(dir, "back"+protocol, "sub", "file")); err != nil || info.Size() != 1_000_000 {
				t.Errorf("scp %s: %v, %v", protocol, info, err)
			}
		}
		command := exec.CommandContext(t.Context(), "ssh", append(append(append([]string{}, options...), "-p", port), host, "cat; exit 4")...)
		command.Stdin = bytes.NewReader([]byte("through"))
		out, err := command.Output()
		if string(out) != "through" || command.ProcessState.ExitCode() != 4 {
			t.Errorf("ssh: %q, %v", out, err)
		}
	})
}
