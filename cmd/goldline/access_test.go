package main

import (
	"bytes"
	"context"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/emulator"
)

// Who calls AWS for a template, and where, is what its keys say, as Packer takes
// them. The local cloud tells accounts by access keys.
func TestTemplateAccess(t *testing.T) {
	local, err := emulator.Open(t.Context(), emulator.Options{Machine: emulator.NoMachines})
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	plain := httptest.NewServer(local.Handler())
	defer plain.Close()
	sealed := httptest.NewTLSServer(local.Handler())
	defer sealed.Close()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"config":      "[profile ops]\nregion = eu-west-1\n",
		"credentials": "[ops]\naws_access_key_id = 222222222222\naws_secret_access_key = secret-of-ops\n",
		"other":       "[default]\naws_access_key_id = 333333333333\naws_secret_access_key = secret-of-other\n",
	})
	t.Setenv("AWS_ENDPOINT_URL", plain.URL)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))

	for _, c := range []struct{ name, keys, account, region, says string }{
		{name: "keys", keys: `"region": "eu-central-1", "access_key": "111111111111", "secret_key": "{{user ` + "`secret`" + `}}"`, account: "111111111111", region: "eu-central-1"},
		{name: "profile", keys: `"profile": "ops"`, account: "222222222222", region: "eu-west-1"},
		{name: "file", keys: `"region": "us-east-1", "shared_credentials_file": "` + filepath.Join(dir, "other") + `"`, account: "333333333333", region: "us-east-1"},
		{name: "role", keys: `"profile": "ops", "assume_role": {"role_arn": "arn:aws:iam::444444444444:role/bake", "session_name": "packer", "duration_seconds": 900}, "max_retries": 1`, account: "444444444444", region: "eu-west-1"},
		{name: "endpoint", keys: `"profile": "ops", "custom_endpoint_ec2": "` + sealed.URL + `", "insecure_skip_tls_verify": true`, account: "222222222222", region: "eu-west-1"},
		{name: "nothing", keys: `"access_key": "", "secret_key": "", "profile": "ops", "skip_region_validation": true`, account: "222222222222", region: "eu-west-1"},
		{name: "half", keys: `"region": "us-east-1", "access_key": "111111111111"`, says: "access_key without secret_key"},
		{name: "no such profile", keys: `"region": "us-east-1", "profile": "nobody"`, says: "nobody"},
		{name: "no such file", keys: `"region": "us-east-1", "shared_credentials_file": "nowhere"`, says: "shared_credentials_file"},
		{name: "vault", keys: `"region": "us-east-1", "vault_aws_engine": {"name": "x"}`, says: "does not belong in a recipe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			template := filepath.Join(dir, strings.ReplaceAll(c.name, " ", "-"), "web.json")
			writeFiles(t, filepath.Dir(template), map[string]string{"web.json": `{"variables": {"secret": "s3cret-in-a-variable"}, "builders": [{"type": "amazon-ebs", "ssh_username": "admin", "ami_name": "web",
				"source_ami_filter": {"filters": {"name": "debian-12-amd64-*"}, "owners": ["136693071363"], "most_recent": true}, ` + c.keys + `}]}`})
			local.ResetCalls()
			var stdout, stderr bytes.Buffer
			code := run(context.Background(), []string{"bake", "--template", template, "--explain", "-o", "json"}, nil, strings.NewReader(""), &stdout, &stderr)
			said := stdout.String() + stderr.String()
			if strings.Contains(said, "s3cret") || strings.Contains(said, "secret-of") {
				t.Errorf("a secret shows in\n%s", said)
			}
			if c.says != "" {
				if code != 2 || !strings.Contains(said, c.says) {
					t.Errorf("code %d, want 2 with %q\n%s", code, c.says, said)
				}
				return
			}
			asked := ""
			for _, call := range local.Calls() {
				if call.Action == "DescribeImages" {
					asked = call.Account + " " + call.Region
				}
			}
			if code != 0 || asked != c.account+" "+c.region {
				t.Errorf("code %d; images were asked for as %q, want %s %s\n%s", code, asked, c.account, c.region, said)
			}
		})
	}
}
