package machine

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestHostIsUnchanged runs what a careless provisioning script might.
func TestHostIsUnchanged(t *testing.T) {
	watched := []string{"/etc/hostname", "/etc/passwd", "/etc/hosts", "/usr/bin/env"}
	look := func() string {
		var seen strings.Builder
		for _, file := range watched {
			if info, err := os.Lstat(file); err == nil {
				fmt.Fprintln(&seen, file, info.Size(), info.Mode(), info.ModTime())
			}
		}
		name, _ := os.Hostname()
		return seen.String() + name
	}
	kinds(t, func(t *testing.T, kind Kind) {
		outside := filepath.Join(testDir(t), "secret")
		if err := os.WriteFile(outside, []byte("secret"), 0o644); err != nil {
			t.Fatal(err)
		}
		before := look()
		r := newRig(t, kind)
		_, _, _ = r.try(`sudo sh -c 'rm -rf /etc/hostname /usr/bin/env /etc/passwd.d; echo evil > /etc/hosts; echo evil > /usr/local/escaped-marker; useradd -m intruder; hostname other'`)
		if after := look(); after != before {
			t.Errorf("the host changed:\n%s\nwas:\n%s", after, before)
		}
		if _, err := os.Lstat("/usr/local/escaped-marker"); err == nil {
			t.Error("a file was written to the host")
		}
		for _, path := range []string{outside, "/tmp/../../../../../.." + outside, "/proc/1/root" + outside} {
			if stdout, _, exit := r.try("sudo cat " + path); exit == 0 || strings.Contains(stdout, "secret") {
				t.Errorf("%s was read", path)
			}
		}
		r.sh("ln -s / ~/up && ln -s ../../../../../../.. ~/far")
		if stdout, _, _ := r.try("sudo cat ~/up" + outside + " ~/far" + outside); stdout != "" {
			t.Errorf("read through a link: %q", stdout)
		}
		_, _, _ = r.try("sudo sh -c 'echo x > /home/admin/far" + outside + "; rm -rf ~admin/far/" + outside + "; mount -o remount,rw /proc/sys; echo x > /proc/sys/kernel/hostname; mknod /tmp/disk b 254 0'")
		if data, err := os.ReadFile(outside); err != nil || string(data) != "secret" {
			t.Errorf("%q, %v", data, err)
		}
		if name, _ := os.Hostname(); !strings.HasSuffix(before, name) {
			t.Errorf("the host is called %q now", name)
		}
	})
}

// ownSeconds is a number of seconds that only this process's sleeps have on their command
// line: others on this host may run the same tests.
func ownSeconds(n int) string { return strconv.Itoa(n*1e8 + os.Getpid()) }

// marked counts the processes of the host that have a word on their command line.
func marked(t *testing.T, word string) int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, line := range lines {
		if data, err := os.ReadFile(line); err == nil && strings.Contains(string(data), word) {
			count++
		}
	}
	return count
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !is() {
		select {
		case <-deadline:
			t.Fatalf("still not so: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestStopLeavesNoProcesses(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		if _, err := os.Stat("/proc/self/cmdline"); err != nil {
			t.Skip("needs /proc to look at processes")
		}
		r, mark := newRig(t, kind), ownSeconds(3)
		r.sh("nohup sleep " + mark + " >/dev/null 2>&1 & setsid sleep " + mark + " >/dev/null 2>&1 &")
		if kind != InProcess {
			eventually(t, "the processes run", func() bool { return marked(t, mark) > 0 })
		}
		r.stop()
		if left := marked(t, mark); left > 0 {
			t.Errorf("%d processes are left", left)
		}
	})
}

// TestLeftBehind: what a command leaves running ends without anything else, and
// nothing is left of it.
func TestLeftBehind(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		if kind == InProcess {
			t.Skip("nothing outlives its command")
		}
		r := newRig(t, kind)
		r.sh("sh -c '(sleep 0.1; echo $$ > ~/left) > /dev/null 2>&1 < /dev/null &'")
		r.sh("while [ ! -s ~/left ]; do sleep 0.05; done")
		eventually(t, "nothing is left", func() bool {
			return strings.TrimSpace(r.sh("grep -l 'State:.Z' /proc/[0-9]*/status || echo none")) == "none"
		})
	})
}

// TestMain serves TestKilledOwner too, as the process that gets killed.
func TestMain(m *testing.M) {
	dir, ok := os.LookupEnv("MACHINE_TEST_OWNER")
	if !ok {
		os.Exit(m.Run())
	}
	mark := os.Getenv("MACHINE_TEST_MARK")
	machine, err := Start(context.Background(), Kind(os.Getenv("MACHINE_TEST_KIND")), Spec{
		ID: "i-owner", Dir: dir, User: "admin", Address: netip.MustParseAddr("127.0.0.1"),
		UserData: []byte("#!/bin/sh\nnohup sleep " + mark + " >/dev/null 2>&1 &\nsetsid sleep " + mark + " >/dev/null 2>&1 &\n"),
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	<-machine.Booted()
	fmt.Println("booted")
	select {}
}

func TestKilledOwner(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		if _, err := os.Stat("/proc/self/cmdline"); err != nil {
			t.Skip("needs /proc to look at processes")
		}
		dir, mark := filepath.Join(testDir(t), "owned"), ownSeconds(4)
		owner := exec.Command(os.Args[0])
		owner.Env = append(os.Environ(), "MACHINE_TEST_OWNER="+dir, "MACHINE_TEST_KIND="+string(kind), "MACHINE_TEST_MARK="+mark)
		out, err := owner.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := owner.Start(); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(out).ReadString('\n')
		if line != "booted\n" {
			_ = owner.Process.Kill()
			_ = owner.Wait()
			t.Fatalf("the owner said %q", line)
		}
		if kind != InProcess {
			eventually(t, "the processes run", func() bool { return marked(t, mark) > 0 })
		}
		if err := owner.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = owner.Wait() // it was killed
		eventually(t, "no process is left", func() bool { return marked(t, mark) == 0 })
		if mounts, err := os.ReadFile("/proc/mounts"); err == nil && strings.Contains(string(mounts), dir) {
			t.Error("mounts are left")
		}
		machine, err := Start(t.Context(), kind, Spec{ID: "i-owner", Dir: dir, User: "admin"})
		if err != nil {
			t.Fatalf("start after the kill: %v", err)
		}
		if err := machine.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
