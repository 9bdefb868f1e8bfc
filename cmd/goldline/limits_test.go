package main

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/emulator"
)

// TestLimitsReachedHalfWay takes a topology that grows from limit to limit
// through the command itself: each failure names the resource with its place, the
// reason and what to do, what was made stays, and the next run goes on from it.
func TestLimitsReachedHalfWay(t *testing.T) {
	local, err := emulator.Open(t.Context(), emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(local.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := local.Close(); err != nil {
			t.Error(err)
		}
	})
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": filepath.Join(t.TempDir(), "config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(t.TempDir(), "credentials"),
	} {
		t.Setenv(name, value)
	}
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"goldline.yaml":         "project: shop\nladder: [dev]\n",
		"environments/dev.yaml": "account: \"000000000000\"\nregion: eu-central-1\n",
	})
	launch := func() (int, map[string]any) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"launch", "dev", "--yes", "-o", "json", "--project", dir}, os.Environ(), strings.NewReader(""), &stdout, &stderr)
		var result map[string]any
		if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
			t.Fatalf("not one JSON document: %v\n%s\n%s", err, stdout.String(), stderr.String())
		}
		return code, result
	}
	const subnet, ami = "topology/subnets/a.yaml", "ami-0e544268837c95001"
	made := 0.0
	for _, c := range []struct {
		action, code, address, file string
		files                       map[string]string
		advice                      string
	}{
		{"CreateVpc", "VpcLimitExceeded", "vpc.main", "topology/vpcs/main.yaml",
			map[string]string{"topology/vpcs/main.yaml": "cidr_block: 10.0.0.0/16\n"}, "VPCs per Region"},
		{"AllocateAddress", "AddressLimitExceeded", "elastic_ip.front", "topology/elastic_ips/front.yaml",
			map[string]string{"topology/elastic_ips/front.yaml": "{}\n", subnet: "vpc: main\ncidr_block: 10.0.1.0/24\navailability_zone: a\n"}, "EC2-VPC Elastic IPs"},
		{"CreateVolume", "VolumeLimitExceeded", "volume.data", "topology/volumes/data.yaml",
			map[string]string{"topology/volumes/data.yaml": "availability_zone: a\nsize: 1\n"}, "Storage for volumes"},
		{"RunInstances", "VcpuLimitExceeded", "instance.db", "topology/instances/db.yaml",
			map[string]string{"topology/instances/db.yaml": "ami: " + ami + "\ninstance_type: m5.large\nsubnet: a\n"}, "Running On-Demand instances"},
		{"RunInstances", "InsufficientInstanceCapacity", "instance.web", "topology/instances/web.yaml",
			map[string]string{"topology/instances/web.yaml": "ami: " + ami + "\ninstance_type: t3.micro\nsubnet: a\nvolumes: [{volume: data, device: /dev/sdf}]\n"}, "another instance_type or another zone"},
	} {
		writeFiles(t, dir, c.files)
		local.Inject(emulator.Fault{Service: "ec2", Action: c.action, Kind: emulator.Error, Code: c.code, Times: -1})
		code, result := launch()
		failure, _ := result["error"].(map[string]any)
		text, err := json.Marshal(failure)
		if err != nil {
			t.Fatal(err)
		}
		left, _ := failure["left"].([]any)
		if want := map[bool]int{true: 1, false: 3}[len(left) > 0]; code != want {
			t.Errorf("%s: exit code %d with %v left", c.code, code, left)
		}
		for _, want := range []string{c.address, c.file + ":1:1", c.code, c.advice, "run the same command again"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s: the failure does not tell %q: %s", c.code, want, text)
			}
		}
		local.ClearFaults()
		if code, result := launch(); code != 0 {
			t.Fatalf("%s: the next run ends with %d: %v", c.code, code, result["error"])
		}
		made += float64(len(c.files))
		all, err := local.Inventory()
		if err != nil {
			t.Fatal(err)
		}
		for kind, lines := range all {
			want := 1
			if strings.HasSuffix(kind, " instance") && c.address == "instance.web" {
				want = 2
			}
			if strings.HasPrefix(kind, "000000000000/eu-central-1 ") && !strings.HasSuffix(kind, " volume") && !strings.HasSuffix(kind, " parameters") && len(lines) > want {
				t.Errorf("%s: %s: %v", c.code, kind, lines)
			}
		}
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"plan", "dev", "--exit-code", "-o", "json", "--project", dir}, os.Environ(), strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Errorf("the plan afterwards: %d\n%s", code, stdout.String())
	}
	var result map[string]any
	if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
		t.Fatal(err)
	}
	wantCounts("none", made)(t, result)
}
