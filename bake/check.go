package bake

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
	"golang.org/x/crypto/ssh"
)

// CheckImage reports what is wrong with a recipe beyond its single fields: what
// is missing, what excludes each other, files that are not there, template
// functions that do not exist. It reads files and calls nothing.
func CheckImage(i *project.Image) diag.List {
	var l diag.List
	checkSource(i, &l)
	checkArchitectures(i, &l)
	checkAMIName(i, &l)
	checkLogin(i, &l)
	checkFile(i, &l, "user_data_file", i.UserDataFile)
	if i.UserData != "" && i.UserDataFile != "" {
		l.Addf(i.At("user_data_file"), "user_data and user_data_file exclude each other")
	}
	for n, cidr := range i.SourceCIDRs {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			l.AddHint(i.At(fmt.Sprintf("temporary_security_group_source_cidrs[%d]", n)), "such as 192.0.2.7/32", "%q is not a CIDR block", cidr)
		}
	}
	checkTags(i, &l, "tags", i.Tags)
	checkTags(i, &l, "run_tags", i.RunTags)
	checkTags(i, &l, "run_volume_tags", i.RunVolumeTags)
	checkTags(i, &l, "snapshot_tags", i.SnapshotTags)
	checkTags(i, &l, "spot_tags", i.SpotTags)
	checkPublication(i, &l)
	checkPlacing(i, &l)
	checkBastion(i, &l)
	checkTests(i, &l)
	checkSpeed(i, &l)
	for key, value := range map[string]string{"ami_description": i.AMIDescription, "user_data": i.UserData, "version": i.Version, "source_ami": i.SourceAMI} {
		checkTemplate(i, &l, key, value)
	}
	for _, p := range i.Provisioners {
		checkProvisioner(i, p, &l)
	}
	for _, chain := range i.PostProcessors {
		for _, p := range chain {
			checkPostProcessor(p, &l)
		}
	}
	return l
}

func checkSource(i *project.Image, l *diag.List) {
	var given []string
	for _, s := range []struct {
		key string
		is  bool
	}{{"source_image", i.SourceImage != ""}, {"source_ami", i.SourceAMI != "" || i.ByArchitecture["source_ami"] != nil}, {"source_ami_filter", i.SourceAMIFilter != nil}} {
		if s.is {
			given = append(given, s.key)
		}
	}
	switch {
	case len(given) == 0:
		l.AddHint(i.Pos, "give one of source_image, source_ami, source_ami_filter", "image %q starts from nothing", i.Name)
	case len(given) > 1:
		l.Addf(i.At(given[1]), "%s exclude each other", strings.Join(given, " and "))
	}
	if f := i.SourceAMIFilter; f != nil {
		if len(f.Owners) == 0 {
			l.AddHint(i.At("source_ami_filter"), "anyone can publish an AMI under any name; give owners, such as [amazon]", "source_ami_filter without owners")
		}
		for key, value := range f.Filters {
			checkTemplate(i, l, "source_ami_filter.filters."+key, value)
		}
	}
}

// sampleData stands for what a source image will say of itself.
func sampleData() map[string]string { return sourceData("", types.Image{}) }

func checkTemplate(i *project.Image, l *diag.List, key, value string) (string, bool) {
	t := templater{name: buildName(i), dir: i.Dir, at: time.Unix(0, 0).UTC(), vars: i.Variables}
	out, err := t.render(value, sampleData())
	if err != nil {
		addTemplateProblem(l, i.At(key), key, err)
		return "", false
	}
	return out, true
}

var undefined = regexp.MustCompile(`function "(\w+)" not defined`)

func addTemplateProblem(l *diag.List, at diag.Pos, key string, err error) {
	hint := ""
	if m := undefined.FindStringSubmatch(err.Error()); m != nil {
		var known []string
		for name := range (templater{}).functions() {
			known = append(known, name)
		}
		hint = diag.DidYouMean(m[1], known)
	}
	l.AddHint(at, hint, "%s: %v", key, err)
}

func checkAMIName(i *project.Image, l *diag.List) {
	if i.AMIName == "" {
		return
	}
	name, ok := checkTemplate(i, l, "ami_name", i.AMIName)
	if !ok {
		return
	}
	if err := checkName(name); err != nil {
		l.AddHint(i.At("ami_name"), "{{clean_resource_name ...}} replaces what may not stand there", "ami_name: %v", err)
	}
}

func checkLogin(i *project.Image, l *diag.List) {
	if windows(i) {
		checkWinRM(i, l)
	} else if i.SSHUsername == "" {
		l.AddHint(i.Pos, "admin on Debian, ubuntu on Ubuntu, ec2-user on Amazon Linux", "image %q needs ssh_username", i.Name)
	}
	if i.SSHHostPublicKey != "" {
		if _, err := parsePublicKey(i.SSHHostPublicKey); err != nil {
			l.Addf(i.At("ssh_host_public_key"), "ssh_host_public_key: %v", err)
		}
	}
	if i.SSHPort < 0 || i.SSHPort > 65535 {
		l.Addf(i.At("ssh_port"), "ssh_port: %d is not a port", i.SSHPort)
	}
	if i.SSHKeypairName != "" && i.SSHPrivateKeyFile == "" {
		l.Addf(i.At("ssh_keypair_name"), "ssh_keypair_name needs the ssh_private_key_file that goes with it")
	}
	if checkFile(i, l, "ssh_private_key_file", i.SSHPrivateKeyFile) && i.SSHPrivateKeyFile != "" {
		text, err := os.ReadFile(resolve(i, i.SSHPrivateKeyFile))
		if err == nil {
			_, err = ssh.ParsePrivateKey(text)
		}
		if err != nil {
			l.Addf(i.At("ssh_private_key_file"), "ssh_private_key_file: not a private key that can be read without a passphrase")
		}
	}
}

// checkFile reports a file that a key names and that is not there.
func checkFile(i *project.Image, l *diag.List, key, path string) bool {
	if path == "" {
		return true
	}
	if _, err := os.Stat(resolve(i, path)); err != nil {
		l.Addf(i.At(key), "%s: %s is not there", key, path)
		return false
	}
	return true
}

func checkTags(i *project.Image, l *diag.List, key string, set map[string]string) {
	for _, k := range tags.Keys(set) {
		at := key + "." + k
		if tags.Reserved(k) {
			l.Addf(i.At(at), "%s: %s is not yours to set", key, k)
		}
		checkTemplate(i, l, at, set[k])
	}
}

func checkProvisioner(i *project.Image, p *project.Provisioner, l *diag.List) {
	known, ok := p.Options.(provisioner)
	if !ok {
		l.Addf(p.Pos, "provisioner type %q is not known", p.Type)
		return
	}
	known.check(p, l)
	for _, f := range known.files() {
		if strings.Contains(f.path, "{{") {
			continue // its name follows from the bake
		}
		if _, err := os.Stat(resolve(i, f.path)); err != nil {
			l.Addf(p.At(f.key), "%s: %s is not there", f.key, f.path)
		}
	}
	data := sampleData()
	data["ID"], data["User"], data["WinRMPassword"] = "i-0", "user", ""
	t := templater{name: buildName(i), dir: i.Dir, vars: i.Variables}
	for _, text := range known.texts() {
		if _, err := t.render(text.value, data); err != nil {
			addTemplateProblem(l, p.At(text.key), text.key, err)
		}
	}
}

// checkOneOf reports none or several of keys of which one must be given.
func checkOneOf(p *project.Provisioner, l *diag.List, keys []string, given ...bool) {
	var have []string
	for n, is := range given {
		if is {
			have = append(have, keys[n])
		}
	}
	switch {
	case len(have) == 0:
		l.Addf(p.Pos, "provisioner %s needs one of %s", p.Type, strings.Join(keys, ", "))
	case len(have) > 1:
		l.Addf(p.At(have[1]), "%s exclude each other", strings.Join(have, " and "))
	}
}

func checkVars(p *project.Provisioner, l *diag.List, vars []string) {
	for n, v := range vars {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" {
			l.AddHint(p.At(fmt.Sprintf("environment_vars[%d]", n)), "write NAME=value", "%q is not a variable", v)
		}
	}
}
