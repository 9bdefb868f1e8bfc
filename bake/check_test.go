package bake

import (
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/project"
)

func TestCheckImage(t *testing.T) {
	good := func() *project.Image {
		return &project.Image{
			Name: "web", SSHUsername: "admin", SourceAMI: "ami-1", Dir: folder(t, map[string]string{"web.sh": ""}),
			AMIName: "web {{timestamp}}", Tags: map[string]string{"From": "{{.SourceAMIName}}"},
			Provisioners: []*project.Provisioner{{Type: "shell", Options: &Shell{Script: "web.sh"}}},
		}
	}
	with := func(options any) func(*project.Image) {
		return func(i *project.Image) { i.Provisioners = []*project.Provisioner{{Type: "p", Options: options}} }
	}
	for _, test := range []struct {
		name   string
		change func(*project.Image)
		want   string // "" for no problem
	}{
		{"as it should be", func(*project.Image) {}, ""},
		{"no source", func(i *project.Image) { i.SourceAMI = "" }, "starts from nothing"},
		{"two sources", func(i *project.Image) { i.SourceImage = "base" }, "source_image and source_ami exclude each other"},
		{"no owners", func(i *project.Image) { i.SourceAMI, i.SourceAMIFilter = "", &project.AMIFilter{} }, "without owners"},
		{"no user", func(i *project.Image) { i.SSHUsername = "" }, "needs ssh_username"},
		{"no such function", func(i *project.Image) { i.AMIName = "web-{{timestmp}}" }, `did you mean "timestamp"?`},
		{"a colon in the name", func(i *project.Image) { i.AMIName = "web {{isotime}}" }, `may not hold ":"`},
		{"a reserved tag", func(i *project.Image) { i.Tags["goldline:run"] = "x" }, "not yours to set"},
		{"not a CIDR block", func(i *project.Image) { i.SourceCIDRs = []string{"10.0.0.1"} }, "not a CIDR block"},
		{"not a host key", func(i *project.Image) { i.SSHHostPublicKey = "abc" }, "not a public key"},
		{"no such user data", func(i *project.Image) { i.UserDataFile = "none" }, "none is not there"},
		{"no such script", with(&Shell{Script: "other.sh"}), "other.sh is not there"},
		{"nothing to run", with(&Shell{}), "needs one of inline, script, scripts"},
		{"two things to run", with(&Shell{Script: "web.sh", Inline: []string{"x"}}), "inline and script exclude each other"},
		{"not a variable", with(&Shell{Script: "web.sh", EnvironmentVars: []string{"A"}}), "not a variable"},
		{"a bad command", with(&Shell{Script: "web.sh", ExecuteCommand: "{{.Pth}}"}), "execute_command"},
		{"a bad function in a line", with(&Shell{Inline: []string{"echo {{isotme}}"}}), `did you mean "isotime"?`},
		{"no such file", with(&File{Source: "none", Destination: "/x"}), "none is not there"},
		{"a file that comes later", with(&File{Source: "none", Destination: "/x", Generated: true}), ""},
		{"a download", with(&File{Source: "/etc/none", Destination: "x", Direction: "download"}), ""},
		{"no such local script", with(&ShellLocal{Scripts: []string{"web.sh", "none"}}), "scripts[1]: none is not there"},
		{"an unknown provisioner", with(&struct{}{}), "not known"},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := good()
			test.change(i)
			err := CheckImage(i).Err()
			switch {
			case test.want == "" && err != nil:
				t.Errorf("problems: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("problems %v, want %q", err, test.want)
			}
		})
	}
}
