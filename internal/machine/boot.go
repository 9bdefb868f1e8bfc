package machine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// Where cloud-init keeps things; the machine keeps them at the same places.
const (
	cloudDir    = "/var/lib/cloud"
	scriptsDir  = cloudDir + "/scripts"
	instanceDir = cloudDir + "/instance" // a link to the folder of this instance
)

// boot does what cloud-init does with an instance's user data and the image's
// scripts, in cloud-init's order.
type boot struct {
	m        *running
	home     string // /var/lib/cloud/instances/<id>
	first    bool   // of this instance ID: an image's earlier instances do not count
	hostKeys []gossh.Signer
	started  time.Time
	failed   []error
}

// prepareBoot does the part that an SSH login depends on: identity, host keys,
// users and their keys, and the files that user data writes.
func (m *running) prepareBoot() (*boot, error) {
	b := &boot{m: m, home: path.Join(cloudDir, "instances", m.spec.ID), started: time.Now()}
	m.console.printf("[    0.000000] Linux version 6.1.0-goldline (%s machine) #1 SMP %s", m.kind, m.spec.Arch)
	m.console.printf("[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz root=/dev/root console=ttyS0 instance=%s", m.spec.ID)
	_, err := m.guest.tree().stat(path.Join(b.home, "sem", "config_ssh"))
	b.first = errors.Is(err, fs.ErrNotExist)
	if m.userDataErr != nil {
		b.fail(m.userDataErr)
	}
	for _, step := range []func() error{b.keep, b.begun, b.identity, b.keys, b.user, b.files} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// keep writes what cloud-init keeps of an instance.
func (b *boot) keep() error {
	t, data := b.m.guest.tree(), b.m.userData
	for _, dir := range []string{b.home + "/sem", b.home + "/scripts", cloudDir + "/data", cloudDir + "/sem",
		scriptsDir + "/per-boot", scriptsDir + "/per-instance", scriptsDir + "/per-once", scriptsDir + "/vendor"} {
		if err := t.mkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for name, contents := range map[string][]byte{
		"user-data.txt": data.raw, "user-data.txt.i": data.raw, "vendor-data.txt": nil,
		"datasource": []byte("DataSourceEc2Local: DataSourceEc2Local\n"),
	} {
		if err := t.writeFile(path.Join(b.home, name), contents, 0o600); err != nil {
			return err
		}
	}
	if err := t.remove(instanceDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := t.symlink(b.home, instanceDir); err != nil {
		return err
	}
	return t.writeFile(cloudDir+"/data/instance-id", []byte(b.m.spec.ID+"\n"), 0o644)
}

func (b *boot) identity() error {
	if !b.first {
		return nil
	}
	t, name := b.m.guest.tree(), b.m.spec.Hostname
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails
	for file, text := range map[string]string{
		"/etc/hostname":   name + "\n",
		"/etc/hosts":      fmt.Sprintf("127.0.0.1 localhost\n%s %s\n::1 localhost ip6-localhost ip6-loopback\n", b.m.spec.Address, name),
		"/etc/machine-id": hex.EncodeToString(raw) + "\n",
	} {
		if err := t.writeFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (b *boot) keys() error {
	t, config := b.m.guest.tree(), b.m.userData.config
	fresh := b.first && (config.SSHDeleteKeys == nil || *config.SSHDeleteKeys || len(config.SSHKeys) > 0)
	signers, err := hostKeys(t, b.m.spec.Hostname, config.SSHKeys, fresh)
	if err != nil {
		return err
	}
	b.hostKeys = signers
	return t.writeFile(path.Join(b.home, "sem", "config_ssh"), nil, 0o644)
}

// user makes the login user and gives it the keys. Keys that the image brought
// along stay, as on EC2.
func (b *boot) user() error {
	t, spec := b.m.guest.tree(), b.m.spec
	user, ok := lookup(t, spec.User)
	if !ok {
		var err error
		user, err = addAccount(t, newAccount{name: spec.User, uid: -1, shell: "/bin/bash", mkhome: true})
		if err != nil {
			return err
		}
	}
	if err := makeHome(t, user); err != nil {
		return err
	}
	if info, err := t.stat("/etc/sudoers.d"); err == nil && info.IsDir() && user.uid != 0 {
		rule := fmt.Sprintf("%s ALL=(ALL) NOPASSWD:ALL\n", user.name)
		if err := t.writeFile("/etc/sudoers.d/90-cloud-init-users", []byte(rule), 0o440); err != nil {
			return err
		}
	}
	if err := b.m.guest.letBecome(user); err != nil {
		return err
	}
	if !b.first {
		return nil
	}
	return authorize(t, user, slices.Concat(spec.AuthorizedKeys, b.m.userData.config.AuthorizedKeys))
}

// authorize adds the keys that a user does not have yet.
func authorize(t *tree, user account, keys []string) error {
	dir := path.Join(user.home, ".ssh")
	file := path.Join(dir, "authorized_keys")
	if err := t.mkdirAll(dir, 0o700); err != nil {
		return err
	}
	old, err := t.readFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := string(old)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	for _, key := range keys {
		if key = strings.TrimSpace(key); key != "" && !strings.Contains(text, key) {
			text += key + "\n"
		}
	}
	if err := t.writeFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	return errors.Join(own(t, dir, user), own(t, file, user))
}

// files writes write_files; one that cannot be written fails the boot, not the
// start, as with cloud-init.
func (b *boot) files() error {
	if !b.first {
		return nil
	}
	for _, s := range b.m.userData.scripts {
		if folder, ok := strings.CutPrefix(string(s.when), string(onceLast)+"-"); ok {
			if err := b.m.guest.tree().writeFile(path.Join(scriptsDir, folder, s.name), s.text, 0o700); err != nil {
				b.fail(err)
			}
		}
	}
	for _, file := range b.m.userData.config.WriteFiles {
		if err := file.write(b.m.guest.tree()); err != nil {
			b.fail(fmt.Errorf("write_files %s: %w", file.Path, err))
		}
	}
	return nil
}

// run does the rest: commands and scripts. Its error says which failed.
func (b *boot) run(ctx context.Context) error {
	t, config := b.m.guest.tree(), b.m.userData.config
	announceKeys(b.m.console, b.m.spec.Hostname, b.hostKeys)
	b.m.deviceCommand(ctx, b.rootProcess("mount", "-a"))
	b.scripts(ctx, bootHook)
	if len(config.BootCmd) > 0 {
		b.generated(ctx, "bootcmd", script(config.BootCmd))
	}
	b.folder(ctx, "per-once", cloudDir+"/sem/scripts_per_once.once")
	b.folder(ctx, "per-boot", "")
	b.folder(ctx, "per-instance", path.Join(b.home, "sem", "config_scripts_per_instance"))
	if b.once("config_scripts_user") {
		b.scripts(ctx, onceLast)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	took := time.Since(b.started).Seconds()
	b.m.console.printf("Cloud-init v. 23.0-goldline finished at %s. Datasource DataSourceEc2Local.  Up %.2f seconds", time.Now().UTC().Format(time.RFC1123Z), took)
	if err := t.writeFile(instanceDir+"/boot-finished", fmt.Appendf(nil, "%.2f - %s\n", took, time.Now().UTC().Format(time.RFC1123Z)), 0o644); err != nil {
		b.fail(err)
	}
	if err := b.ended(); err != nil {
		b.fail(err)
	}
	b.m.console.printf("\n%s login: ", b.m.spec.Hostname)
	b.powerState(ctx)
	return errors.Join(b.failed...)
}

// scripts runs what user data holds for a time of the boot, in the order of
// names: runcmd is a script like others.
func (b *boot) scripts(ctx context.Context, when scriptTime) {
	scripts := slices.Clone(b.m.userData.scripts)
	if commands := b.m.userData.config.RunCmd; len(commands) > 0 {
		scripts = append(scripts, userScript{name: "runcmd", when: onceLast, text: script(commands)})
	}
	slices.SortStableFunc(scripts, func(a, b userScript) int { return strings.Compare(a.name, b.name) })
	for _, s := range scripts {
		if s.when == when {
			b.generated(ctx, s.name, s.text)
		}
	}
}

// once says whether this instance's boot is the first to get here.
func (b *boot) once(name string) bool {
	return b.firstAt(path.Join(b.home, "sem", name))
}

func (b *boot) firstAt(sem string) bool {
	t := b.m.guest.tree()
	if _, err := t.stat(sem); err == nil {
		return false
	}
	if err := t.writeFile(sem, nil, 0o644); err != nil {
		b.fail(err)
	}
	return true
}

// folder runs a folder's executable files in the order of their names. A
// failure does not keep the next from running, as with cloud-init.
func (b *boot) folder(ctx context.Context, name, sem string) {
	if sem != "" && !b.firstAt(sem) {
		return
	}
	dir := path.Join(scriptsDir, name)
	infos, err := b.m.guest.tree().readDir(dir)
	if err != nil {
		b.fail(err)
		return
	}
	for _, info := range infos {
		file := path.Join(dir, info.Name())
		real, err := b.m.guest.tree().stat(file)
		if err != nil || !real.Mode().IsRegular() || real.Mode().Perm()&0o111 == 0 {
			continue
		}
		b.execute(ctx, file)
	}
}

// generated runs a script that user data holds, from where cloud-init puts it.
func (b *boot) generated(ctx context.Context, name string, text []byte) {
	file := path.Join(b.home, "scripts", name)
	if err := b.m.guest.tree().writeFile(file, text, 0o700); err != nil {
		b.fail(err)
		return
	}
	b.execute(ctx, file)
}

func (b *boot) execute(ctx context.Context, file string) {
	if ctx.Err() != nil {
		return
	}
	p := b.rootProcess(file)
	exit, err := b.m.guest.run(ctx, p)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		b.fail(fmt.Errorf("%s: %w", file, err))
	case exit != 0:
		b.fail(fmt.Errorf("%s ended with exit code %d", file, exit))
		b.m.console.printf("%s - subp.py[WARNING]: Failed running %s [%d]", stamp(), file, exit)
	}
}

func (b *boot) rootProcess(argv ...string) process {
	root, _ := lookup(b.m.guest.tree(), "root")
	return process{argv: argv, user: root, env: b.m.environment(root), dir: "/",
		in: strings.NewReader(""), out: b.m.console, err: b.m.console}
}

func (b *boot) fail(err error) {
	b.failed = append(b.failed, err)
	b.m.console.printf("%s - main.py[WARNING]: %v", stamp(), err)
}

func stamp() string { return time.Now().UTC().Format("2006-01-02 15:04:05,000") }

// powerState ends the instance's first boot as user data asks.
func (b *boot) powerState(ctx context.Context) {
	want := b.m.userData.config.PowerState
	if want == nil || want.Mode == "" || !b.once("config_power_state_change") {
		return
	}
	switch condition := want.Condition.Value; {
	case strings.EqualFold(condition, "false"):
		return
	case condition != "" && !strings.EqualFold(condition, "true"):
		if exit, err := b.m.guest.run(ctx, b.rootProcess("/bin/sh", "-c", condition)); err != nil || exit != 0 {
			return
		}
	}
	when := want.Delay.Value
	if when == "" {
		when = "now"
	}
	if want.Mode == "reboot" {
		b.fail(errors.New("power_state: an emulated machine cannot restart itself"))
		return
	}
	delay, err := shutdownDelay(when, time.Now())
	if err != nil {
		b.fail(fmt.Errorf("power_state: %w", err))
		return
	}
	b.m.power.in(delay)
}
