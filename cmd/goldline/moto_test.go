package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/machine"
	"github.com/goldline-dev/goldline/internal/mototest"
	"golang.org/x/crypto/ssh"
)

// TestAgainstMoto takes a project through its life on an EC2 that is not ours:
// moto_server, reached as any endpoint is, by AWS_ENDPOINT_URL and credentials
// alone. moto's instances take no SSH, so the recipe names a server on loopback.
func TestAgainstMoto(t *testing.T) {
	mototest.Serve(t, "eu-central-1")
	project := t.TempDir()
	server := startSSHServer(t, project)
	writeFiles(t, project, motoProject(server))

	for _, step := range []struct {
		args []string
		want func(t *testing.T, result map[string]any)
	}{
		{args: []string{"validate"}},
		{args: []string{"bake"}, want: wantReused(false)},
		{args: []string{"bake"}, want: wantReused(true)},
		{args: []string{"promote", "web", "--to", "dev"}},
		{args: []string{"launch", "dev", "--yes"}, want: wantCounts("create", 8)},
		{args: []string{"plan", "dev", "--exit-code"}, want: wantCounts("none", 8)},
		{args: []string{"audit", "dev"}},
		{args: []string{"images", "deployed", "dev"}, want: func(t *testing.T, result map[string]any) {
			if deployed, _ := result["deployed"].([]any); len(deployed) != 1 {
				t.Errorf("deployed: %v", result["deployed"])
			}
		}},
		{args: []string{"destroy", "dev", "--yes"}, want: wantCounts("delete", 8)},
		{args: []string{"destroy", "dev", "--yes"}, want: wantCounts("delete", 0)},
	} {
		t.Run(strings.Join(step.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(context.Background(), append(step.args, "-o", "json", "--project", project), os.Environ(), strings.NewReader(""), &stdout, &stderr)
			if code != 0 {
				t.Fatalf("exit code %d\n%s\n%s", code, stdout.String(), stderr.String())
			}
			var result map[string]any
			if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
				t.Fatalf("not one JSON document: %v\n%s", err, stdout.String())
			}
			if step.want != nil {
				step.want(t, result)
			}
		})
		if t.Failed() {
			return // what follows builds on this step
		}
	}
}

func wantReused(want bool) func(*testing.T, map[string]any) {
	return func(t *testing.T, result map[string]any) {
		images, _ := result["images"].([]any)
		if len(images) != 1 || images[0].(map[string]any)["reused"] != want {
			t.Errorf("images %v, want one with reused=%v", result["images"], want)
		}
	}
}

func wantCounts(action string, want float64) func(*testing.T, map[string]any) {
	return func(t *testing.T, result map[string]any) {
		counts, _ := result["counts"].(map[string]any)
		if counts[action] != want {
			t.Errorf("counts %v, want %s %v; changes %v", counts, action, want, result["changes"])
		}
	}
}

// sshServer is where the recipe's builder is reached.
type sshServer struct {
	address netip.AddrPort
	hostKey string // OpenSSH form
}

// startSSHServer starts a machine for its SSH server, with a private key for it
// in dir/key.
func startSSHServer(t *testing.T, dir string) sshServer {
	t.Helper()
	hostPublic, hostPrivate := newKey(t)
	userPublic, userPrivate := newKey(t)
	if err := os.WriteFile(filepath.Join(dir, "key"), userPrivate, 0o600); err != nil {
		t.Fatal(err)
	}
	indented := strings.ReplaceAll(strings.TrimSpace(string(hostPrivate)), "\n", "\n    ")
	started, err := machine.Start(context.Background(), machine.InProcess, machine.Spec{
		ID: "i-00000000000000001", Dir: filepath.Join(t.TempDir(), "machine"), OS: "debian-12", Arch: "x86_64", User: "admin",
		AuthorizedKeys: []string{userPublic}, Hostname: "builder", Address: netip.MustParseAddr("127.0.0.1"),
		UserData: []byte("#cloud-config\nssh_keys:\n  ed25519_private: |\n    " + indented + "\n  ed25519_public: " + hostPublic + "\n"),
		Metadata: func(string) (string, bool) { return "", false }, Console: &bytes.Buffer{}, PoweredOff: func() {},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = started.Stop(context.Background()) })
	<-started.Booted()
	return sshServer{address: started.SSH(), hostKey: hostPublic}
}

func newKey(t *testing.T) (public string, private []byte) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(priv, "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), pem.EncodeToMemory(block)
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func motoProject(server sshServer) map[string]string {
	return map[string]string{
		"goldline.yaml":          "project: abroad\nladder: [dev]\n",
		"environments/dev.yaml":  "account: \"123456789012\"\nregion: us-east-1\n",
		"images/web.yaml":        fmt.Sprintf(motoRecipe, server.address.Addr(), server.address.Port(), server.hostKey),
		"topology/platform.yaml": motoTopology,
	}
}

const motoRecipe = `
source_ami_filter:
  owners: [amazon]
  most_recent: true
  filters:
    architecture: x86_64
    name: amzn-ami-hvm-2017*
    virtualization-type: hvm
instance_type: t3.micro
ssh_username: admin
ssh_host: %s
ssh_port: %d
ssh_host_public_key: %s
ssh_private_key_file: ../key
provisioners:
  - type: shell
    inline:
      - echo "built for $PACKER_BUILD_NAME" > /tmp/built
      - cat /tmp/built
`

const motoTopology = `
kind: vpc
name: main
cidr_block: 10.10.0.0/16
---
kind: subnet
name: a
vpc: main
cidr_block: 10.10.1.0/24
availability_zone: a
---
kind: internet_gateway
name: main
vpc: main
---
kind: route_table
name: public
vpc: main
routes:
  - destination_cidr_block: 0.0.0.0/0
    internet_gateway: main
subnets: [a]
---
kind: security_group
name: web
vpc: main
description: Everyone may ask
ingress:
  - {protocol: tcp, port: 80, cidr_blocks: [0.0.0.0/0]}
---
kind: volume
name: data
availability_zone: a
size: 8
---
kind: instance
name: web
image: web
instance_type: t3.micro
subnet: a
security_groups: [web]
volumes:
  - {volume: data, device: /dev/sdf}
user_data:
  extra: {feature: "on"}
---
kind: iam_policy
name: read-releases
document:
  Version: "2012-10-17"
  Statement:
    - {Effect: Allow, Action: s3:GetObject, Resource: "arn:aws:s3:::releases/*"}
`
