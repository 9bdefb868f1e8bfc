package bake

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// builderType is what scripts written for Packer expect in PACKER_BUILDER_TYPE.
const builderType = "amazon-ebs"

// provisioner is the options of one kind of provisioner. A new kind is a file
// with such a struct, and a line in Provisioners.
type provisioner interface {
	// subject is what it works with, for messages: "scripts/web.sh".
	subject() string
	// files are the local files and folders that it reads, which count in the
	// fingerprint.
	files() []localFile
	// check reports what is wrong beyond single fields; missing files are found
	// without it.
	check(p *project.Provisioner, l *diag.List)
	// texts are the options in which template functions stand.
	texts() []text
	provision(ctx context.Context, b *bake, p *project.Provisioner) error
}

// localFile is a file that an option names.
type localFile struct{ key, path string }

// text is an option's text by its key.
type text struct{ key, value string }

// Provisioners lists the kinds of provisioner that recipes may use.
func Provisioners() []project.Kind {
	return []project.Kind{
		{Name: "shell", Doc: "Runs commands or scripts on the builder.", New: func() any { return &Shell{} }},
		{Name: "powershell", Doc: "Runs PowerShell commands or scripts on a Windows builder.", New: func() any { return &PowerShell{} }},
		{Name: "windows-shell", Doc: "Runs batch commands or scripts on a Windows builder.", New: func() any { return &WindowsShell{} }},
		{Name: "windows-restart", Doc: "Restarts a Windows builder, and waits until it is back.", New: func() any { return &WindowsRestart{} }},
		{Name: "file", Doc: "Copies files and folders to the builder, or from it.", New: func() any { return &File{} }},
		{Name: "shell-local", Doc: "Runs commands or scripts on the machine that bakes.", New: func() any { return &ShellLocal{} }},
		{Name: "ansible", Doc: "Runs ansible-playbook on the machine that bakes, against the builder.", New: func() any { return &Ansible{} }},
		{Name: "ansible-local", Doc: "Runs ansible-playbook on the builder.", New: func() any { return &AnsibleLocal{} }},
		{Name: "breakpoint", Doc: "Waits until somebody lets the bake go on.", New: func() any { return &Breakpoint{} }},
	}
}

// environment is what a script gets: Packer's own variables, environment_vars,
// and env, which wins.
func (b *bake) environment(p *project.Provisioner, vars []string, env map[string]string) ([]variable, error) {
	values := map[string]string{"PACKER_BUILD_NAME": buildName(b.image), "PACKER_BUILDER_TYPE": builderType}
	for i, v := range vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, fail.Inputf("%s: %q is not NAME=value", p.At(fmt.Sprintf("environment_vars[%d]", i)), v)
		}
		value, err := b.renderOption(p, fmt.Sprintf("environment_vars[%d]", i), value)
		if err != nil {
			return nil, err
		}
		values[name] = value
	}
	for name, value := range env {
		value, err := b.renderOption(p, "env."+name, value)
		if err != nil {
			return nil, err
		}
		values[name] = value
	}
	list := make([]variable, 0, len(values))
	for name, value := range values {
		list = append(list, variable{name, value})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].name < list[j].name })
	return list, nil
}

type variable struct{ name, value string }

// quoted is the value for a POSIX shell.
func (v variable) quoted() string { return quote(v.value) }

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'"'"'`) + "'" }

// renderOption carries out template functions in an option of a provisioner.
func (b *bake) renderOption(p *project.Provisioner, key, value string) (string, error) {
	out, err := b.templater().render(value, b.buildData())
	if err != nil {
		return "", fail.Input(fmt.Errorf("%s: %s: %w", p.At(key), key, err))
	}
	return out, nil
}

// buildData is what {{.Name}} may ask for in a provisioner's options.
func (b *bake) buildData() map[string]string {
	data := b.sourceData()
	data["ID"] = b.builder.id
	data["User"], data["WinRMPassword"] = b.user(), b.password
	return data
}

// script is one script as it is to be run: from a file, or made of lines.
type script struct {
	title   string
	content []byte
}

// scripts gives what inline, script and scripts say.
func (b *bake) scripts(p *project.Provisioner, shebang string, inline []string, one string, several []string) ([]script, error) {
	var all []script
	if len(inline) > 0 {
		body := ""
		if shebang != "" {
			body = "#!" + shebang + "\n"
		}
		for i, line := range inline {
			line, err := b.renderOption(p, fmt.Sprintf("inline[%d]", i), line)
			if err != nil {
				return nil, err
			}
			body += line + "\n"
		}
		all = append(all, script{"inline", []byte(body)})
	}
	for _, f := range scriptFiles(one, several) {
		path, err := b.renderOption(p, f.key, f.path)
		if err != nil {
			return nil, err
		}
		content, err := os.ReadFile(resolve(b.image, path))
		if err != nil {
			return nil, fail.Inputf("%s: %s: %w", p.At(f.key), f.key, err)
		}
		all = append(all, script{f.path, content})
	}
	return all, nil
}

func scriptFiles(one string, several []string) []localFile {
	var files []localFile
	if one != "" {
		files = append(files, localFile{"script", one})
	}
	for i, s := range several {
		files = append(files, localFile{fmt.Sprintf("scripts[%d]", i), s})
	}
	return files
}

// subjectOf names a shell's script, or says that it has its own lines.
func subjectOf(inline []string, one string, several []string) string {
	switch {
	case one != "":
		return one
	case len(several) == 1:
		return several[0]
	case len(several) > 1:
		return fmt.Sprintf("%s and %d more", several[0], len(several)-1)
	case len(inline) > 0:
		return "inline"
	}
	return ""
}

// textsOf are the texts of a list option.
func textsOf(key string, values []string) []text {
	list := make([]text, len(values))
	for i, v := range values {
		list[i] = text{fmt.Sprintf("%s[%d]", key, i), v}
	}
	return list
}

func textsOfMap(key string, values map[string]string) []text {
	list := make([]text, 0, len(values))
	for k, v := range values {
		list = append(list, text{key + "." + k, v})
	}
	return list
}

// accepted tells whether an exit code is one of those that an option lists; 0
// alone where it lists none.
func accepted(code int, valid []int) bool {
	if len(valid) == 0 {
		return code == 0
	}
	for _, v := range valid {
		if v == code {
			return true
		}
	}
	return false
}
