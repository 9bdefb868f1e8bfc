package emulator

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// publicParameter is one of the parameters that image owners publish for
// everyone: the newest image of a system.
type publicParameter struct{ name, os, arch string }

var publicParameters = []publicParameter{
	{"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64", "amazon-linux-2023", "arm64"},
	{"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", "amazon-linux-2023", "x86_64"},
	{"/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id", "ubuntu-24.04", "x86_64"},
	{"/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id", "ubuntu-24.04", "arm64"},
	{"/aws/service/debian/release/12/latest/amd64", "debian-12", "x86_64"},
	{"/aws/service/debian/release/12/latest/arm64", "debian-12", "arm64"},
}

const publicPrefix = "/aws/service/"

// find returns a parameter of a world, public ones included.
func (s *ssmService) find(w world, name string) (parameter, bool) {
	if !strings.HasPrefix(name, publicPrefix) {
		return s.parameters.get(w, name)
	}
	for _, p := range s.public(w) {
		if p.Name == name {
			return p, true
		}
	}
	return parameter{}, false
}

// public lists the public parameters of a region.
func (s *ssmService) public(w world) []parameter {
	var list []parameter
	for _, p := range publicParameters {
		if s.cloud.hooks.publicImage == nil {
			break
		}
		if id := s.cloud.hooks.publicImage(w.Region, p.os, p.arch); id != "" {
			list = append(list, parameter{Name: p.name, Type: types.ParameterTypeString, Versions: []parameterVersion{{
				Version: 1, Value: id, DataType: dataTypeText, Tier: types.ParameterTierStandard, Modified: publicSince,
			}}})
		}
	}
	return list
}

// under lists the parameters of a world below a path, in the order of names.
func (s *ssmService) under(w world, path string, recursive bool) []parameter {
	all := s.parameters.all(w)
	if strings.HasPrefix(path+"/", publicPrefix) {
		all = s.public(w)
	}
	prefix := strings.TrimSuffix(path, "/") + "/"
	var list []parameter
	for _, p := range all {
		rest, ok := strings.CutPrefix(p.Name, prefix)
		if ok && (recursive || !strings.Contains(rest, "/")) {
			list = append(list, p)
		}
	}
	return list
}
