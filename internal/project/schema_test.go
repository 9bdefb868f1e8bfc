package project

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/goldline-dev/goldline/internal/diag"
)

func compiled(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	all := map[string]*jsonschema.Schema{}
	for name, text := range Schemas(testVocabulary()) {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(name, err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource(name, doc); err != nil {
			t.Fatal(name, err)
		}
		if all[name], err = c.Compile(name); err != nil {
			t.Fatal(name, err)
		}
	}
	return all
}

func TestSchemasOfASmallLanguage(t *testing.T) {
	for name, text := range Schemas(testVocabulary()) {
		golden(t, filepath.Join("testdata", "schema", name), string(text))
	}
}

// documents are judged alike by the decoder and by the schemas. What only the
// whole project can tell, such as names that do not exist, is left out.
var documents = []struct{ file, good, bad string }{
	{"goldline.yaml", `
project: a
ladder: [dev]
---
project: a-b
ladder: dev
tags: {a: 1, b: true, AWS: x}
`, `
ladder: [dev]
---
project: A
ladder: [dev]
---
project: a
ladder: {dev: 1}
---
project: a
ladder: [dev]
tags: {goldline:x: y}
---
project: a
ladder: [dev]
tags: {AWS:x: y}
---
project: a
ladder: [dev]
more: 1
`},
	{"environments/dev.yaml", `
account: "000000000000"
region: eu-central-1
---
account: 123456789012
region: us-gov-west-1
protected: true
vars: {a: 1, b: x}
---
account: 123456789012
region: us-gov-west-1
rollout:
  minimum_healthy: 75%
  canary: {instances: 10%, bake_time: 10m}
  replace: root-volume
  health: {status: false, http: {port: 8080, path: /health}, tcp: 22, console: "^ready", command: ./check.sh}
  hooks: {before_replace: "echo $GOLDLINE_ADDRESS", after_replace: [make, x], after_rollout: "true"}
  healthy_after: 3
  deadline: 5m
  on_failure: stop
---
account: 123456789012
region: us-gov-west-1
rollout: {strategy: BlueGreen, keep: 1h, bake_time: 5m, steps: [10%, 100%]}
---
account: 123456789012
region: us-gov-west-1
regions: [us-gov-east-1]
image_kms_key_id: {us-gov-west-1: alias/images, us-gov-east-1: mrk-0123456789abcdef0123456789abcdef}
---
account: 123456789012
region: us-gov-west-1
regions: us-gov-east-1
image_kms_key_id: alias/images
`, `
account: "1"
region: eu-central-1
---
account: "000000000000"
region: x
---
account: "000000000000"
region: eu-central-1
regions: [everywhere]
---
account: "000000000000"
region: eu-central-1
image_kms_key_id: [alias/images]
---
account: "000000000000"
region: eu-central-1
protected: "yes"
---
account: "000000000000"
region: eu-central-1
rollout: {strategy: blue-green}
---
account: "000000000000"
region: eu-central-1
rollout: {minimum_healthy: 101%}
---
account: "000000000000"
region: eu-central-1
rollout: {canary: {instances: 0%}}
---
account: "000000000000"
region: eu-central-1
rollout: {health: {tcp: 0}}
---
account: "000000000000"
region: eu-central-1
vars: {a: [b]}
---
account: "000000000000"
region: eu-central-1
vars: {a: null}
`},
	{"images/x.yaml", `
source_ami: ami-12345678
---
source_ami: ami-12345678
ssh_port: "22"
ssh_pty: "true"
ssh_timeout: 5m
security_group_ids: sg-1
launch_block_device_mappings: {device_name: /dev/sda1, volume_size: "8"}
variables: {a: null, b: 1}
ami_regions: []
sriov_support: true
provisioners:
  - {type: shell, inline: x, valid_exit_codes: ["0", 1], override: {x: {inline: y}}}
  - {type: file, source: a, destination: b, pause_before: 1s, max_retries: "{{user ` + "`b`" + `}}"}
---
builders: [{type: amazon-ebs, source_ami: x, access_key: "", ami_virtualization_type: hvm}]
_comment: [anything]
post-processors: []
provisioners: []
`, `
colour: red
---
ssh_port: x
---
ssh_timeout: 5
---
communicator: telnet
---
security_group_ids: {a: b}
---
ami_product_codes: [abc]
---
access_key: AKIA
---
launch_block_device_mappings: [{volume_size: 8}]
---
provisioners: [{inline: x}]
---
provisioners: [{type: perl}]
---
provisioners: [{type: file, source: a}]
---
provisioners: [{type: shell, inlin: a}]
---
provisioners: [{type: shell, max_retries: -1}]
---
builders: [{type: virtualbox-iso}]
---
builders: [{}]
---
builders: [{type: amazon-ebs}]
post-processors: [manifest]
---
builders: [{type: amazon-ebs, variables: {}}]
---
builders: [{type: amazon-ebs}]
push: {}
---
builders: []
`},
	{"topology/x.yaml", `
kind: vpc
cidr_block: 10.0.0.0/16
---
kind: vpc
name: main
cidr_block: ${var.x}
enable_dns_hostnames: ${var.x}
tags: {a: b}
environments: dev
---
kind: volume
size: 8
ratio: 1.5
encrypted: false
count: 2
---
kind: volume
count: ${var.n}
---
kind: volume
each: [a, b]
---
kind: volume
each: {a: {b: c}}
---
kind: instance
subnet: subnet-12345678
grace: 1h30m
rollout: {canary: 2}
user_data: {extra: [1, {a: null}]}
security_groups: sg-12345678
---
kind: security_group
vpc: vpc-12345678
ingress: [{protocol: tcp, from_port: 80}, {protocol: "${var.p}"}]
`, `
kind: vcp
---
kind: vpc
---
kind: vpc
cidr_block: a
rollout: {strategy: AllAtOnce}
---
kind: vpc
cidr_block: [a]
---
kind: vpc
cidr_block: a
name: a b
---
kind: volume
size: "8"
---
kind: volume
size: 0
---
kind: volume
size: 1.5
---
kind: volume
encrypted: "true"
---
kind: volume
ratio: x
---
kind: volume
count: -1
---
kind: volume
count: 1
each: [a]
---
kind: volume
each: a
---
kind: volume
tags: {goldline:a: b}
---
kind: instance
subnet: subnet-12345678
grace: 90
---
kind: instance
subnet: subnet-12345678
user_data: x
---
kind: security_group
vpc: vpc-12345678
ingress: [{protocol: tpc}]
---
kind: security_group
vpc: vpc-12345678
ingress: {protocol: tcp}
---
kind: security_group
vpc: vpc-12345678
ingress: [{from_port: 70000}]
`},
	{"pipelines/x.yaml", `
stages: [{name: a, bake: all}]
---
description: x
vars: {a: 1}
stages:
  - {name: a, launch: dev, timeout: 5m, retry: 1}
  - {name: b, destroy: {environment: dev}, needs: a}
  - {name: c, run: make test, needs: [a, b]}
  - {name: d, run: {command: [make], env: {A: 1}}}
  - {name: e, check: {environment: dev, http: {port: 80}, interval: 1s}}
  - {name: f, promote: {images: all, to: dev}}
  - {name: g, rollback: {images: all, environment: dev, rollout: {strategy: AllAtOnce}}}
  - {name: h, bake: {images: all, rebake: true}}
`, `
description: x
---
stages: {a: b}
---
stages: [{bake: all}]
---
stages: [{name: a}]
---
stages: [{name: a, launch: dev, bake: all}]
---
stages: [{name: a, launch: {}}]
---
stages: [{name: a, rollback: dev}]
---
stages: [{name: a, promote: {images: all}}]
---
stages: [{name: a, bake: all, retry: x}]
---
stages: [{name: a, bake: all, timeout: 5}]
---
stages: [{name: a, bake: {images: all, rebake: "true"}}]
---
stages: [{name: a, run: {env: {}}}]
---
stages: [{name: a, run: {command: x, env: {A: []}}}]
---
stages: [{name: a, check: {environment: dev, http: 80}}]
`},
}

var schemaOf = map[string]string{
	"goldline.yaml": "goldline", "environments/dev.yaml": "environment", "images/x.yaml": "image", "topology/x.yaml": "topology", "pipelines/x.yaml": "pipeline",
}

func TestSchemasJudgeAsTheDecoderDoes(t *testing.T) {
	schemas := compiled(t)
	for _, c := range documents {
		schema := schemas[schemaOf[c.file]+".schema.json"]
		for verdict, text := range map[string]string{"good": c.good, "bad": c.bad} {
			for _, doc := range strings.Split(strings.TrimPrefix(text, "\n"), "---\n") {
				decoded := decoderJudges(t, c.file, doc)
				judged := schema.Validate(asJSON(t, doc))
				if (decoded == nil) != (verdict == "good") {
					t.Errorf("%s\n%sis %s, and the decoder says: %v", c.file, doc, verdict, decoded)
				}
				if (judged == nil) != (verdict == "good") {
					t.Errorf("%s\n%sis %s, and the schema says: %v", c.file, doc, verdict, judged)
				}
			}
		}
	}
}

// decoderJudges loads a project with the document in it and returns what is
// wrong with that document.
func decoderJudges(t *testing.T, file, doc string) error {
	t.Helper()
	dir := write(t, base)
	path := filepath.Join(dir, file)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(doc), 0o644)); err != nil {
		t.Fatal(err)
	}
	_, err := Load(dir, testVocabulary())
	var all *diag.Error
	if !errors.As(err, &all) {
		return err
	}
	var own diag.List
	for _, p := range all.Problems {
		if p.Pos.File == file {
			own = append(own, p)
		}
	}
	return own.Err()
}

// asJSON gives a YAML document as an editor hands it to a schema.
func asJSON(t *testing.T, doc string) any {
	t.Helper()
	docs, err := parseYAML([]byte(doc))
	if err != nil || len(docs) != 1 {
		t.Fatalf("%s: %v", doc, err)
	}
	d := &decoder{src: &source{}, problems: &diag.List{}, scope: &scope{later: []string{"var"}}}
	text, err := json.Marshal(d.any(docs[0].Content[0], ""))
	if err != nil {
		t.Fatal(err)
	}
	x, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return x
}
