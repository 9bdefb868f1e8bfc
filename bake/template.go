package bake

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/hcl2"
	"github.com/google/uuid"
	strftime "github.com/jehiah/go-strftime"
)

// templater carries out Packer's template functions. The SDK's own package for
// them takes the time at which the process began for every bake, and brings
// clients of Consul, Vault and AWS's old SDK along.
type templater struct {
	name string // of the image
	arch string // of the build's AMI; empty where it is not known yet
	dir  string
	at   time.Time
	vars map[string]string
	// builder is what `build` tells; nil before there is one.
	builder map[string]string
}

// functions are Packer's that need no network, and the amazon plugin's
// clean_resource_name. `user` is given too, since a Packer template may use it
// in text that only the builder reads.
func (t templater) functions() template.FuncMap {
	return template.FuncMap{
		"build_name":   func() string { return t.name },
		"architecture": func() string { return t.arch },
		"build_type":   func() string { return builderType },
		// That of the Packer whose keys and functions are read here.
		"packer_version": func() string { return hcl2.PackerVersion },
		"isotime":        t.isotime,
		"timestamp":      func() string { return strconv.FormatInt(t.at.Unix(), 10) },
		"strftime":       func(format string) string { return strftime.Format(format, t.at) },
		"uuid":           func() string { return uuid.NewString() },
		"user":           t.user,
		"build":          t.build,
		"pwd":            os.Getwd,
		"upper":          strings.ToUpper,
		"lower":          strings.ToLower,
		"replace":        func(old, new string, n int, s string) string { return strings.Replace(s, old, new, n) },
		"replace_all":    func(old, new, s string) string { return strings.ReplaceAll(s, old, new) },
		"split": func(s, sep string, n int) (string, error) {
			parts := strings.Split(s, sep)
			if n < 0 || n >= len(parts) {
				return "", fmt.Errorf("part %d of %q is not there", n, s)
			}
			return parts[n], nil
		},
		"template_dir":        func() string { return t.dir },
		"clean_resource_name": cleanName,
		"clean_ami_name":      cleanName,
	}
}

func (t templater) isotime(format ...string) (string, error) {
	switch len(format) {
	case 0:
		return t.at.Format(time.RFC3339), nil
	case 1:
		return t.at.Format(format[0]), nil
	}
	return "", fmt.Errorf("isotime takes one format")
}

func (t templater) user(name string) (string, error) {
	value, ok := t.vars[name]
	if !ok {
		return "", fmt.Errorf("variable %q is not defined", name)
	}
	return value, nil
}

// builderFields are what `build` tells of the builder.
var builderFields = []string{"ID", "Host", "Port", "User", "ConnType", "PackerRunUUID", "SSHPublicKey", "SSHPrivateKey", "SourceAMI", "SourceAMIName", "Password", "WinRMPassword"}

func (t templater) build(field string) (string, error) {
	if !slices.Contains(builderFields, field) {
		return "", fmt.Errorf("build knows no %q: it tells %s", field, strings.Join(builderFields, ", "))
	}
	return t.builder[field], nil
}

// render carries out the functions in text. data holds what {{.Name}} may ask
// for.
func (t templater) render(text string, data map[string]string) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	if data == nil {
		data = map[string]string{}
	}
	parsed, err := template.New("").Funcs(t.functions()).Option("missingkey=error").Parse(text)
	if err != nil {
		return "", templateError(err)
	}
	var out strings.Builder
	if err := parsed.Execute(&out, data); err != nil {
		return "", templateError(err)
	}
	return out.String(), nil
}

var templatePlace = regexp.MustCompile(`^template: :\d+(:\d+)?: `)
var templateCall = regexp.MustCompile(`executing "" at <(.*?)>: `)

// templateError is what text/template says, without its own words for a place
// in a text that the reader knows by position.
func templateError(err error) error {
	message := templatePlace.ReplaceAllString(err.Error(), "")
	return fmt.Errorf("template: %s", templateCall.ReplaceAllString(message, "$1: "))
}

// AMI names: 3 to 128 of these characters.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html
var notInName = regexp.MustCompile(`[^A-Za-z0-9 ()\[\]./\-'@_]`)

func cleanName(s string) string { return notInName.ReplaceAllString(s, "-") }

// checkName says what is wrong with the name of an AMI.
func checkName(name string) error {
	if n := len(name); n < 3 || n > 128 {
		return fmt.Errorf("an AMI's name has 3 to 128 characters, %q has %d", name, n)
	}
	if bad := notInName.FindString(name); bad != "" {
		return fmt.Errorf("an AMI's name may not hold %q (%q)", bad, name)
	}
	return nil
}

func (b *bake) templater() templater {
	t := templater{name: buildName(b.image), arch: orText(b.image.Architecture, b.architectureOf()), dir: b.image.Dir, at: b.started, vars: b.image.Variables}
	if b.builder.id == "" {
		return t
	}
	host := orText(b.image.SSHHost, b.image.WinRMHost)
	if host == "" {
		host, _ = b.address() // without one nothing connects, which is said there
	}
	t.builder = map[string]string{
		"ID": b.builder.id, "Host": host, "Port": strconv.Itoa(b.port()), "User": b.user(), "ConnType": orText(b.image.Communicator, "ssh"),
		"Password": b.password, "WinRMPassword": b.password,
		"PackerRunUUID": b.options.Run, "SSHPublicKey": b.keyLine, "SSHPrivateKey": b.loginText,
		"SourceAMI": aws.ToString(b.source.ImageId), "SourceAMIName": aws.ToString(b.source.Name),
	}
	return t
}

// render carries out the template functions in a key of the recipe.
func (b *bake) render(key, text string, data map[string]string) (string, error) {
	out, err := b.templater().render(text, data)
	if err != nil {
		return "", fail.Input(fmt.Errorf("%s: %s: %w", b.image.At(key), key, err))
	}
	return out, nil
}

// renderTags is render of the values of a tag set, in which Packer lets the
// source image be named.
func (b *bake) renderTags(key string, set map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(set))
	for k, v := range set {
		value, err := b.render(key+"."+k, v, b.sourceData())
		if err != nil {
			return nil, err
		}
		out[k] = value
	}
	return out, nil
}
