package bake

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// AnsibleLocal is the options of ansible-local, with Packer's meanings: the
// playbook and what belongs to it is uploaded, and the builder's own Ansible runs
// it.
type AnsibleLocal struct {
	Playbook        string   `yaml:"playbook_file" doc:"The playbook."`
	Playbooks       []string `yaml:"playbook_files" doc:"Several playbooks, run in this order."`
	PlaybookDir     string   `yaml:"playbook_dir" doc:"Folder to upload whole."`
	PlaybookPaths   []string `yaml:"playbook_paths" doc:"Folders with more playbooks."`
	RolePaths       []string `yaml:"role_paths" doc:"Folders of roles."`
	CollectionPaths []string `yaml:"collection_paths" doc:"Folders of collections."`
	GroupVars       string   `yaml:"group_vars" doc:"Folder of variables of groups."`
	HostVars        string   `yaml:"host_vars" doc:"Folder of variables of hosts."`
	InventoryFile   string   `yaml:"inventory_file" doc:"An inventory in place of one made for the bake."`
	InventoryGroups []string `yaml:"inventory_groups" doc:"Groups that the builder is in."`
	Command         string   `yaml:"command" doc:"The program on the builder." default:"ANSIBLE_FORCE_COLOR=1 PYTHONUNBUFFERED=1 ansible-playbook"`
	ExtraArguments  []string `yaml:"extra_arguments" doc:"More arguments for it."`
	StagingDir      string   `yaml:"staging_directory" doc:"Folder on the builder for what is uploaded." default:"/tmp/packer-provisioner-ansible-local/ID"`
	CleanStagingDir bool     `yaml:"clean_staging_directory" doc:"Remove that folder afterwards."`
	GalaxyFile      string   `yaml:"galaxy_file" doc:"Requirements to install first."`
	GalaxyCommand   string   `yaml:"galaxy_command" doc:"The program for them." default:"ansible-galaxy"`
	GalaxyRoles     string   `yaml:"galaxy_roles_path" doc:"Where roles are installed."`
	GalaxyColls     string   `yaml:"galaxy_collections_path" doc:"Where collections are installed."`
}

func (s *AnsibleLocal) subject() string {
	if s.Playbook != "" {
		return s.Playbook
	}
	return strings.Join(s.Playbooks, ", ")
}

// upload is a file or folder that goes to a place below the staging folder.
type upload struct {
	localFile
	to string
}

func (s *AnsibleLocal) uploads() []upload {
	var all []upload
	add := func(key, from, to string) {
		if from != "" {
			all = append(all, upload{localFile{key, from}, to})
		}
	}
	several := func(key string, paths []string, folder string) {
		for i, p := range paths {
			add(fmt.Sprintf("%s[%d]", key, i), p, path.Join(folder, filepath.Base(p)))
		}
	}
	add("playbook_dir", s.PlaybookDir, ".")
	add("playbook_file", s.Playbook, filepath.Base(s.Playbook))
	several("playbook_files", s.Playbooks, ".")
	several("playbook_paths", s.PlaybookPaths, ".")
	several("role_paths", s.RolePaths, "roles")
	several("collection_paths", s.CollectionPaths, "collections")
	add("group_vars", s.GroupVars, "group_vars")
	add("host_vars", s.HostVars, "host_vars")
	add("inventory_file", s.InventoryFile, filepath.Base(s.InventoryFile))
	add("galaxy_file", s.GalaxyFile, filepath.Base(s.GalaxyFile))
	return all
}

func (s *AnsibleLocal) files() []localFile {
	var all []localFile
	for _, u := range s.uploads() {
		all = append(all, u.localFile)
	}
	return all
}

func sortedFiles(all []localFile) []localFile {
	sort.Slice(all, func(i, j int) bool { return all[i].key < all[j].key })
	return all
}

func (s *AnsibleLocal) texts() []text {
	return append(textsOf("extra_arguments", s.ExtraArguments), text{"command", s.Command}, text{"staging_directory", s.StagingDir})
}

func (s *AnsibleLocal) check(p *project.Provisioner, l *diag.List) {
	checkOneOf(p, l, []string{"playbook_file", "playbook_files"}, s.Playbook != "", len(s.Playbooks) > 0)
}

func (s *AnsibleLocal) provision(ctx context.Context, b *bake, p *project.Provisioner) error {
	staging, err := b.renderOption(p, "staging_directory", orText(s.StagingDir, "/tmp/packer-provisioner-ansible-local/"+token()))
	if err != nil {
		return err
	}
	if err := s.command(ctx, b, "mkdir -p "+quote(staging)); err != nil {
		return err
	}
	inventory, err := s.send(ctx, b, p, staging)
	if err != nil {
		return err
	}
	cd := "cd " + quote(staging) + " && "
	if s.GalaxyFile != "" {
		if err := s.command(ctx, b, cd+s.galaxy()); err != nil {
			return err
		}
	}
	arguments := "-e packer_build_name=" + quote(strconv.Quote(buildName(b.image))) + " -e packer_builder_type=" + builderType
	for i, a := range s.ExtraArguments {
		a, err := b.renderOption(p, fmt.Sprintf("extra_arguments[%d]", i), a)
		if err != nil {
			return err
		}
		arguments += " " + a // written for a shell, as Packer takes them
	}
	program, err := b.renderOption(p, "command", orText(s.Command, "ANSIBLE_FORCE_COLOR=1 PYTHONUNBUFFERED=1 ansible-playbook"))
	if err != nil {
		return err
	}
	playbooks := s.Playbooks
	if s.Playbook != "" {
		playbooks = []string{s.Playbook}
	}
	for _, playbook := range playbooks {
		line := fmt.Sprintf("%s%s %s %s -c local -i %s", cd, program, quote(path.Join(staging, filepath.Base(playbook))), arguments, quote(inventory))
		if err := s.command(ctx, b, line); err != nil {
			return err
		}
	}
	if s.CleanStagingDir {
		return s.command(ctx, b, "rm -rf "+quote(staging))
	}
	return nil
}

// send uploads everything and gives the inventory's place on the builder.
func (s *AnsibleLocal) send(ctx context.Context, b *bake, p *project.Provisioner, staging string) (string, error) {
	for _, u := range s.uploads() {
		from, to := resolve(b.image, u.path), path.Join(staging, u.to)
		info, err := os.Stat(from)
		if err != nil {
			return "", fail.Inputf("%s: %s: %w", p.At(u.key), u.key, err)
		}
		if info.IsDir() {
			if err = s.command(ctx, b, "mkdir -p "+quote(to)); err == nil {
				err = b.remote.uploadDir(ctx, to, strings.TrimSuffix(from, "/")+"/")
			}
		} else if content, problem := os.ReadFile(from); problem != nil {
			err = problem
		} else {
			err = b.remote.upload(ctx, to, content, info.Mode().Perm())
		}
		if err != nil {
			return "", fmt.Errorf("upload %s: %w", u.path, err)
		}
	}
	if s.InventoryFile != "" {
		return path.Join(staging, filepath.Base(s.InventoryFile)), nil
	}
	body := "127.0.0.1\n"
	for _, g := range s.InventoryGroups {
		body += "[" + g + "]\n127.0.0.1\n"
	}
	inventory := path.Join(staging, "packer-provisioner-ansible-local-inventory")
	return inventory, b.remote.upload(ctx, inventory, []byte(body), 0o644)
}

func (s *AnsibleLocal) galaxy() string {
	program, file := orText(s.GalaxyCommand, "ansible-galaxy"), quote(filepath.Base(s.GalaxyFile))
	roles := orText(s.GalaxyRoles, "roles")
	line := program + " install -r " + file + " -p " + quote(roles)
	if s.GalaxyColls != "" {
		line += " && " + program + " collection install -r " + file + " -p " + quote(s.GalaxyColls)
	}
	return line
}

// command runs a command on the builder that must end with 0.
func (s *AnsibleLocal) command(ctx context.Context, b *bake, line string) error {
	var keep tail
	code, err := b.remote.run(ctx, line, b.output(&keep))
	if err == nil && code != 0 {
		err = fmt.Errorf("exit status %d", code)
	}
	if err != nil {
		return keep.under(err)
	}
	return nil
}
