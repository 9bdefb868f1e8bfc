package emulator

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// parameter is a row of Parameter Store: all the versions that it keeps.
type parameter struct {
	Name     string
	Type     types.ParameterType
	Tags     map[string]string
	Versions []parameterVersion // oldest first, never empty
}

// parameterVersion is one version. A secret's value is kept as it is: it
// protects nothing but the emulation, in a folder that is its user's alone.
type parameterVersion struct {
	Version        int64
	Value          string
	DataType       string
	Description    *string
	AllowedPattern *string
	KeyID          *string
	Tier           types.ParameterTier
	Labels         []string
	Modified       time.Time
	By             string
}

func (p parameter) latest() parameterVersion { return p.Versions[len(p.Versions)-1] }

// version finds a version by number, or by label.
func (p parameter) version(selector string) (parameterVersion, bool) {
	if selector == "" {
		return p.latest(), true
	}
	number, err := strconv.ParseInt(selector, 10, 64)
	for _, v := range p.Versions {
		if err == nil && v.Version == number || err != nil && slices.Contains(v.Labels, selector) {
			return v, true
		}
	}
	return parameterVersion{}, false
}

// ssmService holds the tables of Parameter Store and carries out its actions.
type ssmService struct {
	cloud      *Cloud
	parameters *table[parameter]
	pending    *table[pendingImage]
}

// newSSM adds Parameter Store's tables, actions and settlers.
func newSSM(c *Cloud) *ssmService {
	s := &ssmService{
		cloud:      c,
		parameters: newTable[parameter](c.store, "ssm-parameters"),
		pending:    newTable[pendingImage](c.store, "ssm-pending-images"),
	}
	inventory(c, "parameters", s.parameters, func(p parameter) (string, bool) {
		text := p.Name + " " + p.latest().Value
		if p.Type == types.ParameterTypeSecureString {
			text = p.Name
		}
		for _, key := range sortedKeys(p.Tags) {
			text += " " + key + "=" + p.Tags[key]
		}
		return text, true
	})
	c.settlers[settleImageParameter] = s.settleImage
	r := c.registry
	handle(r, "ssm", "PutParameter", s.putParameter)
	handle(r, "ssm", "GetParameter", s.getParameter)
	handle(r, "ssm", "GetParameters", s.getParameters)
	handle(r, "ssm", "GetParametersByPath", s.getParametersByPath)
	handle(r, "ssm", "GetParameterHistory", s.getParameterHistory)
	handle(r, "ssm", "DescribeParameters", s.describeParameters)
	handle(r, "ssm", "DeleteParameter", s.deleteParameter)
	handle(r, "ssm", "DeleteParameters", s.deleteParameters)
	handle(r, "ssm", "LabelParameterVersion", s.labelParameterVersion)
	handle(r, "ssm", "UnlabelParameterVersion", s.unlabelParameterVersion)
	handle(r, "ssm", "AddTagsToResource", s.addTagsToResource)
	handle(r, "ssm", "RemoveTagsFromResource", s.removeTagsFromResource)
	handle(r, "ssm", "ListTagsForResource", s.listTagsForResource)
	return s
}

// ssmInvalid is the refusal of a request that breaks a constraint.
func ssmInvalid(format string, args ...any) error {
	return refuse("ValidationException", format, args...)
}

func parameterNotFound(name string) error {
	return refuse("ParameterNotFound", "Parameter %s not found.", name)
}

func parameterARN(w world, name string) string {
	if name[0] != '/' {
		name = "/" + name
	}
	return "arn:aws:ssm:" + w.Region + ":" + w.Account + ":parameter" + name
}

// put replaces a parameter's newest state; rows share their slices and maps, so
// a change works on copies.
func (s *ssmService) put(w world, p parameter) { s.parameters.put(w, p.Name, p) }

func (p parameter) copied() parameter {
	p.Tags = maps.Clone(p.Tags)
	p.Versions = slices.Clone(p.Versions)
	for i := range p.Versions {
		p.Versions[i].Labels = slices.Clone(p.Versions[i].Labels)
	}
	return p
}

// shown is a version as GetParameter and its like answer it. A secret that was
// not asked for decrypted is text that tells nothing.
func (p parameter) shown(w world, v parameterVersion, selector string, decrypt *bool) types.Parameter {
	arn, value := parameterARN(w, p.Name), p.value(v, decrypt)
	shown := types.Parameter{
		ARN: &arn, DataType: &v.DataType, LastModifiedDate: &v.Modified, Name: &p.Name,
		Type: p.Type, Value: &value, Version: v.Version,
	}
	if selector != "" {
		selector = ":" + selector
		shown.Selector = &selector
	}
	return shown
}

func (p parameter) value(v parameterVersion, decrypt *bool) string {
	if p.Type != types.ParameterTypeSecureString || decrypt != nil && *decrypt {
		return v.Value
	}
	sum := sha256.Sum256([]byte(p.Name + "\x00" + strconv.FormatInt(v.Version, 10)))
	return "AQICAH" + base64.StdEncoding.EncodeToString(sum[:])
}
