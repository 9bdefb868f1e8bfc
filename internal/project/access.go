package project

import (
	"reflect"
	"slices"
	"strings"
)

// Access says with which credentials, and where, the bake of a template calls AWS
// that belongs to no project: Packer's keys. In a project environments say it, and
// these keys are refused.
type Access struct {
	AccessKey             string      `yaml:"access_key" sensitive:"true" doc:"Access key; goes with secret_key, and before profile."`
	SecretKey             string      `yaml:"secret_key" sensitive:"true" doc:"Secret key of access_key."`
	Token                 string      `yaml:"token" sensitive:"true" doc:"Session token that goes with them."`
	Profile               string      `yaml:"profile" doc:"Profile of the AWS configuration."`
	SharedCredentialsFile string      `yaml:"shared_credentials_file" doc:"File of credentials, in place of ~/.aws/credentials."`
	AssumeRole            *AssumeRole `yaml:"assume_role" doc:"Role to assume with these credentials, or those of the AWS configuration."`
	MFACode               string      `yaml:"mfa_code" sensitive:"true" doc:"Code for a profile whose role wants one (mfa_serial)."`
	MaxRetries            int         `yaml:"max_retries" min:"0" doc:"How often a call that fails in passing is tried again; by default 8 times."`
	CustomEndpointEC2     string      `yaml:"custom_endpoint_ec2" doc:"URL of an EC2 that is not AWS's."`
	InsecureSkipTLSVerify bool        `yaml:"insecure_skip_tls_verify" doc:"Whether that one's certificate is taken as it is."`
}

// AssumeRole is Packer's assume_role.
type AssumeRole struct {
	RoleARN           string            `yaml:"role_arn" doc:"The role."`
	SessionName       string            `yaml:"session_name" doc:"Name of the session." default:"goldline"`
	ExternalID        string            `yaml:"external_id" doc:"External ID that the role's policy wants."`
	DurationSeconds   int               `yaml:"duration_seconds" min:"0" doc:"How long the session's credentials are good."`
	Policy            string            `yaml:"policy" doc:"Policy, as JSON, that the session has besides the role's."`
	PolicyARNs        []string          `yaml:"policy_arns" doc:"ARNs of such policies."`
	Tags              map[string]string `yaml:"tags" doc:"Tags of the session."`
	TransitiveTagKeys []string          `yaml:"transitive_tag_keys" doc:"Keys of those that further sessions take over."`
}

// AccessKeys lists the keys that a template without a project may give, with what
// they mean.
func AccessKeys() map[string]string {
	docs := map[string]string{}
	for _, f := range fieldsOf(reflect.TypeFor[Access]()) {
		docs[f.key] = f.doc
	}
	return docs
}

// access decodes the keys of Access; nil where they say nothing.
func (d *decoder) access(img *Image, entries []entry) *Access {
	var a Access
	d.structure(img.Pos, entries, reflect.ValueOf(&a).Elem(), "")
	if reflect.ValueOf(a).IsZero() {
		return nil
	}
	switch {
	case a.AccessKey != "" && a.SecretKey == "":
		d.problems.Addf(img.At("access_key"), "access_key without secret_key")
	case a.SecretKey != "" && a.AccessKey == "":
		d.problems.Addf(img.At("secret_key"), "secret_key without access_key")
	case a.Token != "" && a.AccessKey == "":
		d.problems.Addf(img.At("token"), "token without access_key and secret_key")
	}
	if url := a.CustomEndpointEC2; url != "" && !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") {
		d.problems.AddHint(img.At("custom_endpoint_ec2"), "such as https://ec2.example.com", "custom_endpoint_ec2: %q is no URL", url)
	}
	for _, secret := range []string{a.AccessKey, a.SecretKey, a.Token} {
		if secret != "" && !slices.Contains(img.Secrets, secret) {
			img.Secrets = append(slices.Clone(img.Secrets), secret)
		}
	}
	return &a
}
