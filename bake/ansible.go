package bake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/leash"
	"github.com/goldline-dev/goldline/internal/project"
)

// Ansible is the options of the provisioner of that name, with Packer's
// meanings. Ansible's connection ends at a proxy on loopback, which passes every
// command on to the builder: so it works wherever the bake itself does, through a
// bastion too, and without the builder's key.
type Ansible struct {
	Playbook           string   `yaml:"playbook_file" required:"true" doc:"The playbook."`
	Command            string   `yaml:"command" doc:"The program." default:"ansible-playbook"`
	ExtraArguments     []string `yaml:"extra_arguments" doc:"More arguments for it."`
	EnvVars            []string `yaml:"ansible_env_vars" doc:"Environment of it: NAME=value."`
	User               string   `yaml:"user" doc:"The user that Ansible logs in as; by default ssh_username, whose home its files go to."`
	HostAlias          string   `yaml:"host_alias" doc:"The builder's name in the inventory." default:"default"`
	Groups             []string `yaml:"groups" doc:"Groups of the inventory that the builder is in."`
	EmptyGroups        []string `yaml:"empty_groups" doc:"Groups of the inventory without a host."`
	InventoryFile      string   `yaml:"inventory_file" doc:"An inventory in place of one made for the bake."`
	InventoryDirectory string   `yaml:"inventory_directory" doc:"Folder with more inventory, group_vars and host_vars."`
	InventoryTemplate  string   `yaml:"inventory_file_template" doc:"The builder's line in the inventory; {{.HostAlias}}, {{.Host}}, {{.User}} and {{.Port}} stand for their values."`
	KeepInventory      bool     `yaml:"keep_inventory_file" doc:"Leave the inventory that was made."`
	LocalPort          int      `yaml:"local_port" min:"0" max:"65535" doc:"Port of the proxy; by default a free one."`
	SSHExtraArgs       []string `yaml:"ansible_ssh_extra_args" doc:"More arguments for ssh."`
	HostKeyFile        string   `yaml:"ssh_host_key_file" doc:"Host key of the proxy; by default one made for the bake."`
	AuthorizedKeyFile  string   `yaml:"ssh_authorized_key_file" doc:"Public key that may log in at the proxy; by default one made for the bake."`
	SFTPCommand        string   `yaml:"sftp_command" doc:"The builder's SFTP server, for Ansible's sftp." default:"/usr/lib/sftp-server -e"`
	UseSFTP            bool     `yaml:"use_sftp" doc:"Let Ansible copy files by SFTP, not through commands."`
	UseProxy           *bool    `yaml:"use_proxy" doc:"false lets Ansible connect to the builder itself." default:"true"`
	SkipVersionCheck   bool     `yaml:"skip_version_check" doc:"No effect: Ansible's version is not asked for."`
	GalaxyFile         string   `yaml:"galaxy_file" doc:"Requirements to install first."`
	GalaxyCommand      string   `yaml:"galaxy_command" doc:"The program for them." default:"ansible-galaxy"`
	GalaxyForce        bool     `yaml:"galaxy_force_install" doc:"Install them anew."`
	GalaxyForceDeps    bool     `yaml:"galaxy_force_with_deps" doc:"And what they need."`
	RolesPath          string   `yaml:"roles_path" doc:"Where roles are installed."`
	CollectionsPath    string   `yaml:"collections_path" doc:"Where collections are installed."`
}

func (s *Ansible) subject() string { return s.Playbook }

// files are what is known to be read: the playbook, with its folder where it has
// one of its own, since roles and variables lie there.
func (s *Ansible) files() []localFile {
	all := []localFile{playbookFile("playbook_file", s.Playbook)}
	for key, path := range map[string]string{"inventory_file": s.InventoryFile, "inventory_directory": s.InventoryDirectory, "galaxy_file": s.GalaxyFile} {
		if path != "" {
			all = append(all, localFile{key, path})
		}
	}
	return sortedFiles(all)
}

func playbookFile(key, path string) localFile {
	if folder := filepath.Dir(path); folder != "." && !filepath.IsAbs(folder) && filepath.Base(folder) != ".." && !strings.Contains(path, "{{") {
		return localFile{key, folder}
	}
	return localFile{key, path}
}

func (s *Ansible) texts() []text {
	return append(append(textsOf("extra_arguments", s.ExtraArguments), textsOf("ansible_env_vars", s.EnvVars)...), text{"playbook_file", s.Playbook})
}

func (s *Ansible) check(p *project.Provisioner, l *diag.List) {
	for i, v := range s.EnvVars {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" {
			l.AddHint(p.At(fmt.Sprintf("ansible_env_vars[%d]", i)), "write NAME=value", "%q is not a variable", v)
		}
	}
	if s.direct() && (s.HostKeyFile != "" || s.AuthorizedKeyFile != "" || s.LocalPort != 0) {
		l.Addf(p.At("use_proxy"), "use_proxy: false leaves no use for ssh_host_key_file, ssh_authorized_key_file and local_port")
	}
	if s.AuthorizedKeyFile != "" && !containsPrefix(s.ExtraArguments, "--private-key") {
		l.AddHint(p.At("ssh_authorized_key_file"), `extra_arguments: [--private-key, FILE]`, "ssh_authorized_key_file needs the private key that goes with it")
	}
}

func containsPrefix(list []string, prefix string) bool {
	for _, s := range list {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

func (s *Ansible) direct() bool { return s.UseProxy != nil && !*s.UseProxy }

func (s *Ansible) provision(ctx context.Context, b *bake, p *project.Provisioner) (err error) {
	dir, err := os.MkdirTemp("", "goldline-ansible-*")
	if err != nil {
		return fmt.Errorf("temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := s.galaxy(ctx, b); err != nil {
		return err
	}
	to, end, err := s.target(ctx, b, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	inventory, remove, err := s.inventory(b, dir, to)
	if err != nil {
		return err
	}
	defer remove()
	args, err := s.arguments(b, p, to, inventory)
	if err != nil {
		return err
	}
	env := os.Environ()
	if !s.UseSFTP {
		env = append(env, "ANSIBLE_SSH_TRANSFER_METHOD=piped") // needs nothing but a shell on the builder
	}
	for i, v := range s.EnvVars {
		v, err := b.renderOption(p, fmt.Sprintf("ansible_env_vars[%d]", i), v)
		if err != nil {
			return err
		}
		env = append(env, v)
	}
	return s.run(ctx, b, orText(s.Command, "ansible-playbook"), args, env)
}

// target is what Ansible connects to, and by which keys.
type target struct {
	host, user string
	port       int
	key        string // file; empty where the user gives one
	known      string // file of known hosts
}

// target prepares the way to the builder: a proxy, or the builder itself.
func (s *Ansible) target(ctx context.Context, b *bake, dir string) (to target, end func() error, err error) {
	if s.direct() {
		return s.straight(b, dir)
	}
	proxy, err := newProxy(ctx, b, s, dir)
	if err != nil {
		return target{}, nil, fmt.Errorf("proxy for Ansible: %w", err)
	}
	to = target{host: "127.0.0.1", port: proxy.port, user: orText(s.User, b.image.SSHUsername), key: proxy.keyFile, known: filepath.Join(dir, "known_hosts")}
	line := fmt.Sprintf("[127.0.0.1]:%d %s\n", proxy.port, authorizedLine(proxy.host.PublicKey(), ""))
	return to, proxy.close, os.WriteFile(to.known, []byte(line), 0o600)
}

// straight lets Ansible connect to the builder with the bake's own key.
func (s *Ansible) straight(b *bake, dir string) (target, func() error, error) {
	if b.bastion != nil {
		return target{}, nil, fail.Inputf("use_proxy: false cannot go through a bastion")
	}
	host, err := b.address()
	if err != nil {
		return target{}, nil, err
	}
	if b.loginText == "" {
		return target{}, nil, fail.Inputf("use_proxy: false needs the private key of the bake")
	}
	to := target{host: host, port: b.port(), user: orText(s.User, b.image.SSHUsername), key: filepath.Join(dir, "key"), known: filepath.Join(dir, "known_hosts")}
	name := host
	if to.port != 22 {
		name = fmt.Sprintf("[%s]:%d", host, to.port)
	}
	err = errors.Join(
		os.WriteFile(to.key, []byte(b.loginText), 0o600),
		os.WriteFile(to.known, []byte(name+" "+authorizedLine(b.host.public, "")+"\n"), 0o600),
	)
	return to, func() error { return nil }, err
}

// inventory names the builder to Ansible.
func (s *Ansible) inventory(b *bake, dir string, to target) (path string, remove func(), err error) {
	nothing := func() {}
	if s.InventoryFile != "" {
		return resolve(b.image, s.InventoryFile), nothing, nil
	}
	alias := orText(s.HostAlias, "default")
	line := orText(s.InventoryTemplate, "{{ .HostAlias }} ansible_host={{ .Host }} ansible_user={{ .User }} ansible_port={{ .Port }}\n")
	body, err := b.templater().render(line, map[string]string{"HostAlias": alias, "Host": to.host, "User": to.user, "Port": strconv.Itoa(to.port)})
	if err != nil {
		return "", nothing, fail.Input(fmt.Errorf("inventory_file_template: %w", err))
	}
	for _, g := range s.Groups {
		body += "[" + g + "]\n" + alias + "\n"
	}
	for _, g := range s.EmptyGroups {
		body += "[" + g + "]\n"
	}
	folder := dir
	if s.InventoryDirectory != "" {
		folder = resolve(b.image, s.InventoryDirectory)
	} else if s.KeepInventory {
		folder = b.image.Dir
	}
	f, err := os.CreateTemp(folder, "packer-provisioner-ansible*")
	if err != nil {
		return "", nothing, fmt.Errorf("inventory: %w", err)
	}
	_, err = f.WriteString(body)
	err = errors.Join(err, f.Close())
	remove = func() {
		if !s.KeepInventory {
			os.Remove(f.Name())
		}
	}
	if s.InventoryDirectory != "" {
		return folder, remove, err
	}
	return f.Name(), remove, err
}

func (s *Ansible) arguments(b *bake, p *project.Provisioner, to target, inventory string) ([]string, error) {
	ssh := append([]string{"-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + to.known}, s.SSHExtraArgs...)
	args := []string{
		"-e", "packer_build_name=" + strconv.Quote(buildName(b.image)), "-e", "packer_builder_type=" + builderType,
		"--ssh-extra-args", strings.Join(ssh, " "),
	}
	if to.key != "" {
		args = append(args, "-e", "ansible_ssh_private_key_file="+to.key)
	}
	for i, a := range s.ExtraArguments {
		a, err := b.renderOption(p, fmt.Sprintf("extra_arguments[%d]", i), a)
		if err != nil {
			return nil, err
		}
		args = append(args, a)
	}
	playbook, err := b.renderOption(p, "playbook_file", s.Playbook)
	return append(args, "-i", inventory, resolve(b.image, playbook)), err
}

// galaxy installs what galaxy_file lists, as roles and as collections.
func (s *Ansible) galaxy(ctx context.Context, b *bake) error {
	if s.GalaxyFile == "" {
		return nil
	}
	file := resolve(b.image, s.GalaxyFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return fail.Inputf("galaxy_file: %w", err)
	}
	for _, kind := range []struct{ word, path string }{{"role", s.RolesPath}, {"collection", s.CollectionsPath}} {
		listed := strings.Contains(string(text), kind.word+"s:") // a list without either key is one of roles
		if !listed && (kind.word == "collection" || strings.Contains(string(text), "collections:")) {
			continue
		}
		args := []string{kind.word, "install", "-r", file}
		if kind.path != "" {
			args = append(args, "-p", resolve(b.image, kind.path))
		}
		if s.GalaxyForce {
			args = append(args, "-f")
		}
		if s.GalaxyForceDeps {
			args = append(args, "--force-with-deps")
		}
		if err := s.run(ctx, b, orText(s.GalaxyCommand, "ansible-galaxy"), args, os.Environ()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Ansible) run(ctx context.Context, b *bake, program string, args, env []string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = b.image.Dir, env
	var keep tail
	out := &lines{emit: b.output(&keep)}
	cmd.Stdout, cmd.Stderr = out, out
	err := leash.Run(cmd)
	out.flush()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &exit):
		return keep.under(fmt.Errorf("%s: exit status %d", program, exit.ExitCode()))
	case errors.Is(err, exec.ErrNotFound):
		return fail.WithHint(fmt.Errorf("run %s: %w", program, err), "install Ansible on this machine, or say where it is with command")
	case err != nil:
		return fmt.Errorf("run %s: %w", program, err)
	}
	return nil
}

func listenOn(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}
