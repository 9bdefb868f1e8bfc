package machine

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	gossh "golang.org/x/crypto/ssh"
)

func TestCommands(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := newRig(t, kind)
		stdout, stderr, exit := r.try("echo out; echo err >&2; exit 7")
		if stdout != "out\n" || stderr != "err\n" || exit != 7 {
			t.Errorf("got %q, %q, %d", stdout, stderr, exit)
		}
		if _, stderr, exit = r.try("no-such-program"); exit != 127 || !strings.Contains(stderr, "not found") {
			t.Errorf("unknown program: %q, %d", stderr, exit)
		}
		r.says("echo $HOME; pwd", "/home/admin\n/home/admin")
		r.says("sudo -n id -u", "0")
		r.says("sudo sh -c 'echo $HOME'", "/root")
		r.says("echo abc | sed -e s/b/X/ | tr a-z A-Z", "AXC")
		r.says("hostname", "ip-127-0-0-1")
		if kind != UserNS { // which has one user only
			r.says("whoami", "admin")
		}
	})
}

func TestEnvironment(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := newRig(t, kind)
		session, err := r.dial().NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Setenv("LC_GREETING", "hello"); err != nil {
			t.Fatal(err)
		}
		out, err := session.Output("echo $LC_GREETING $AWS_EC2_METADATA_SERVICE_ENDPOINT")
		if want := "hello " + r.machine.IMDS() + "\n"; err != nil || string(out) != want {
			t.Errorf("%q, %v, want %q", out, err, want)
		}
		r.says("A=1 sudo -E sh -c 'echo $A'", "1")
	})
}

func TestStandardInput(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := newRig(t, kind)
		session, err := r.dial().NewSession()
		if err != nil {
			t.Fatal(err)
		}
		session.Stdin = strings.NewReader("echo from stdin; exit 3\n")
		out, err := session.Output("sh -s")
		status, ok := err.(*gossh.ExitError)
		if string(out) != "from stdin\n" || !ok || status.ExitStatus() != 3 {
			t.Errorf("%q, %v", out, err)
		}
	})
}

func TestTerminal(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := newRig(t, kind)
		session, err := r.dial().NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.RequestPty("xterm", 24, 80, gossh.TerminalModes{}); err != nil {
			t.Fatal(err)
		}
		in, err := session.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		session.Stdout = &out
		if err := session.Shell(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(in, "echo $((40+2)) $TERM\nexit 5\n"); err != nil {
			t.Fatal(err)
		}
		err = session.Wait()
		status, ok := err.(*gossh.ExitError)
		if !ok || status.ExitStatus() != 5 || !strings.Contains(out.String(), "42 xterm") {
			t.Errorf("%v: %q", err, out.String())
		}
	})
}

func TestDisconnectEndsTheCommand(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := newRig(t, kind)
		client := r.dial()
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		out, err := session.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Start("echo started; sleep 3600; touch /tmp/survived"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
		client.Close()
		r.stop() // would wait for the sleep otherwise
	})
}

func TestLoginNeedsAKeyOnTheMachine(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := newRig(t, kind)
		if _, err := r.dialAs("admin", newKey(t), gossh.InsecureIgnoreHostKey()); err == nil {
			t.Error("a stranger's key was let in")
		}
		if _, err := r.dialAs("root", r.key, gossh.InsecureIgnoreHostKey()); err == nil {
			t.Error("root was let in without a key")
		}
		r.sh("sudo mkdir -p /root/.ssh && sudo cp ~/.ssh/authorized_keys /root/.ssh/")
		if client, err := r.dialAs("root", r.key, gossh.InsecureIgnoreHostKey()); err != nil {
			t.Errorf("root has a key: %v", err)
		} else {
			client.Close()
		}
		r.sh("rm ~/.ssh/authorized_keys")
		if _, err := r.dialAs("admin", r.key, gossh.InsecureIgnoreHostKey()); err == nil {
			t.Error("let in after the key was removed")
		}
	})
}

func TestHostKeys(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		host := newKey(t)
		r := newRig(t, kind, func(s *Spec) { s.UserData = userDataWithHostKey(host) })
		pinned := gossh.FixedHostKey(host.signer.PublicKey())
		client, err := r.dialAs("admin", r.key, pinned)
		if err != nil {
			t.Fatalf("pinned host key: %v", err)
		}
		client.Close()
		if !strings.Contains(r.console.String(), host.public) {
			t.Errorf("the console does not show the host key:\n%s", r.console)
		}
		r.sh("sudo rm -f /etc/ssh/ssh_host_*")
		if client, err = r.dialAs("admin", r.key, pinned); err != nil {
			t.Fatalf("after the key files were removed: %v", err)
		}
		client.Close()
		r.stop()
		r.spec.ID, r.spec.UserData = "i-0fedcba9876543210", nil
		r.start()
		if _, err := r.dialAs("admin", r.key, pinned); err == nil {
			t.Error("a new instance has the old one's host key")
		}
	})
}

func TestSFTP(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := newRig(t, kind)
		client, err := sftp.NewClient(r.dial())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		file, err := client.Create("/home/admin/up.txt")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write([]byte("content")); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		if err := client.Chmod("/home/admin/up.txt", 0o640); err != nil {
			t.Error(err)
		}
		r.says("cat up.txt; stat -c %a up.txt", "content640")
		if kind == Overlay {
			r.says("stat -c %U up.txt", "admin")
			if _, err := client.Create("/etc/not-allowed"); err == nil {
				t.Error("the login user wrote to /etc")
			}
		}
		if err := client.Mkdir("/tmp/folder"); err != nil {
			t.Error(err)
		}
		if err := client.Rename("/home/admin/up.txt", "/tmp/folder/moved.txt"); err != nil {
			t.Error(err)
		}
		infos, err := client.ReadDir("/tmp/folder")
		if err != nil || len(infos) != 1 || infos[0].Name() != "moved.txt" {
			t.Errorf("%v, %v", infos, err)
		}
		down, err := client.Open("/tmp/folder/moved.txt")
		if err != nil {
			t.Fatal(err)
		}
		defer down.Close()
		if data, err := io.ReadAll(down); err != nil || string(data) != "content" {
			t.Errorf("%q, %v", data, err)
		}
	})
}

func TestUserDataIsKept(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		for name, data := range map[string]string{
			"document": `{"version": 1}`,
			"script":   "#!/bin/sh\necho ran >> /var/ran\n",
			"config":   "#cloud-config\nwrite_files:\n- path: /opt/app/conf\n  content: hello\n  permissions: '0600'\nbootcmd: [[sh, -c, 'echo boot >> /var/ran']]\nruncmd:\n- echo ran >> /var/ran\n",
		} {
			t.Run(name, func(t *testing.T) {
				r := newRig(t, kind, func(s *Spec) { s.UserData = []byte(data) })
				if err := r.machine.BootFailed(); err != nil {
					t.Fatalf("%v\n%s", err, r.console)
				}
				r.says("sudo cat /var/lib/cloud/instance/user-data.txt", strings.TrimSpace(data))
				switch name {
				case "script":
					r.says("cat /var/ran", "ran")
				case "config":
					r.says("cat /var/ran; sudo cat /opt/app/conf; sudo stat -c %a /opt/app/conf", "boot\nran\nhello600")
				}
				r.stop()
				r.start()
				if name == "script" {
					r.says("cat /var/ran", "ran")
				}
			})
		}
	})
}

func TestBootScripts(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		layer := filepath.Join(testDir(t), "layer")
		write := func(name, text string, mode os.FileMode) {
			file := filepath.Join(layer, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), mode); err != nil {
				t.Fatal(err)
			}
		}
		write("var/lib/cloud/scripts/per-instance/10", "#!/bin/sh\necho instance >> /var/order\n", 0o755)
		write("var/lib/cloud/scripts/per-boot/20", "#!/bin/sh\necho boot >> /var/order\necho ready $(id -u)\n", 0o755)
		write("var/lib/cloud/scripts/per-boot/30", "#!/bin/sh\necho not executable >> /var/order\n", 0o644)
		r := newRig(t, kind, func(s *Spec) { s.Layers = []string{layer} })
		r.says("cat /var/order", "boot\ninstance")
		if text := r.console.String(); !strings.Contains(text, "ready 0\n") || !strings.Contains(text, "login:") {
			t.Errorf("console:\n%s", text)
		}
		r.stop()
		r.start()
		r.says("cat /var/order", "boot\ninstance\nboot")
		r.stop()
		r.spec.ID = "i-0000000000000000f"
		r.start()
		r.says("cat /var/order", "boot\ninstance\nboot\nboot\ninstance")
	})
}

func TestFailingBootScript(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := newRig(t, kind, func(s *Spec) { s.UserData = []byte("#!/bin/sh\necho about to fail\nexit 9\n") })
		if err := r.machine.BootFailed(); err == nil || !strings.Contains(err.Error(), "exit code 9") {
			t.Errorf("boot: %v", err)
		}
		if !strings.Contains(r.console.String(), "[WARNING]: Failed running") {
			t.Errorf("console:\n%s", r.console)
		}
	})
}

func TestCaptureAndStart(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := newRig(t, kind)
		r.sh(`sudo sh -ec 'mkdir -p /opt/app/data /usr/local/bin; echo one > /opt/app/data/one; echo two > /opt/app/data/two
			printf "#!/bin/sh\necho tool\n" > /usr/local/bin/tool; chmod 755 /usr/local/bin/tool; ln -s /opt/app /srv/app; rm -f /etc/motd /etc/shells; echo gone > /run/gone'`)
		first := filepath.Join(testDir(t), "first")
		if err := Capture(t.Context(), r.spec.Dir, first); err != nil { // while it runs
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(first, "run", "gone")); err == nil {
			t.Error("the image has files of /run")
		}
		again := newRig(t, kind, func(s *Spec) { s.ID, s.Layers = "i-1", []string{first} })
		again.says("tool; cat /srv/app/data/one; ls /opt/app/data", "tool\none\none\ntwo")
		again.says("test -e /etc/shells || echo absent", "absent")
		again.sh("sudo rm -r /opt/app/data && sudo mkdir /opt/app/data && echo three | sudo tee /opt/app/data/three")
		again.stop()
		second := filepath.Join(testDir(t), "second")
		if err := Capture(t.Context(), again.spec.Dir, second); err != nil {
			t.Fatal(err)
		}
		for _, other := range Available(t.Context(), t.TempDir()) { // whichever kind made the layers
			last := newRig(t, other, func(s *Spec) { s.ID, s.Layers = "i-2", []string{second, first} })
			last.says("ls /opt/app/data; tool", "three\ntool")
			last.says("test -e /etc/shells || echo absent", "absent")
		}
		if err := Capture(t.Context(), again.spec.Dir, second); err == nil {
			t.Error("captured over a layer that is there")
		}
	})
}

func TestVolumesMove(t *testing.T) {
	const script = `set -e
		sudo blkid /dev/xvdf || sudo mkfs.ext4 /dev/xvdf
		sudo mkdir -p /srv/data
		sudo mount /dev/xvdf /srv/data
		mount | grep -q ' /srv/data '
		mountpoint -q /srv/data
		test -e /dev/sdf
		if [ -e /srv/data/f ]; then cat /srv/data/f; else echo x | sudo tee /srv/data/f; fi`
	kinds(t, func(t *testing.T, kind Kind) {
		volume := filepath.Join(testDir(t), "vol-1")
		if err := os.Mkdir(volume, 0o755); err != nil {
			t.Fatal(err)
		}
		r := newRig(t, kind)
		if _, _, exit := r.try("sudo blkid /dev/xvdf"); exit != 2 {
			t.Errorf("blkid of nothing: %d", exit)
		}
		if err := r.machine.Attach("/dev/sdf", volume); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(volume); err == nil {
			t.Error("the volume is at two places")
		}
		if err := r.machine.Attach("/dev/xvdf", volume); err == nil {
			t.Error("a device was given twice")
		}
		if stdout, _, exit := r.try("sudo blkid /dev/sdf"); exit != 2 || stdout != "" {
			t.Errorf("blkid of an unformatted volume: %q, %d", stdout, exit)
		}
		r.sh(script)
		layer := filepath.Join(testDir(t), "layer")
		if err := Capture(t.Context(), r.spec.Dir, layer); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(layer, "srv/data/f")); err == nil {
			t.Error("the image has the volume's files")
		}
		if err := r.machine.Detach("/dev/sdf", volume); err != nil {
			t.Fatal(err)
		}
		r.says("ls /srv/data; test -e /dev/sdf || echo no device", "no device")
		other := newRig(t, kind, func(s *Spec) { s.ID, s.Volumes = "i-2", map[string]string{"/dev/sdf": volume} })
		if got := other.sh(script); !strings.HasSuffix(got, "\nx") || !strings.Contains(got, `TYPE="ext4"`) {
			t.Errorf("after the move: %q", got)
		}
		other.stop()
		for range 2 {
			if err := Release(other.spec.Dir, "/dev/sdf", volume); err != nil {
				t.Fatal(err)
			}
		}
		if data, err := os.ReadFile(filepath.Join(volume, "f")); err != nil || string(data) != "x\n" {
			t.Errorf("%q, %v", data, err)
		}
	})
}

func TestPowerOff(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := newRig(t, kind)
		r.sh("sudo shutdown -h +60; sudo shutdown -c")
		r.sh("sudo shutdown -h now")
		select {
		case <-r.off:
		case <-time.After(30 * time.Second):
			t.Error("nobody was told")
		}
	})
}

func TestStoppedMachineKeepsItsFiles(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := newRig(t, kind)
		r.sh("echo kept > ~/file; sudo sh -c 'echo kept > /etc/file'; (sleep 3600 &) >/dev/null 2>&1")
		address := r.machine.SSH()
		r.stop()
		if _, err := gossh.Dial("tcp", address.String(), &gossh.ClientConfig{HostKeyCallback: gossh.InsecureIgnoreHostKey()}); err == nil {
			t.Error("something still listens")
		}
		r.start()
		r.says("cat ~/file /etc/file", "kept\nkept")
		r.stop()
		if err := Purge(r.spec.Dir); err != nil {
			t.Error(err)
		}
	})
}
