package promote

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// A revoked build is revoked wherever it is, and used nowhere.
func TestRevoke(t *testing.T) {
	w := wide(t)
	v1 := w.build("web", "1")
	v2 := w.build("web", "2")
	for _, build := range []string{"1", "2"} {
		for _, to := range []string{"dev", "test", "prod"} {
			w.promote("web", to, build)
		}
	}
	if _, err := w.promoter().Revoke(t.Context(), v2, " "); fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("without a reason: %v", err)
	}
	if _, err := w.promoter().Revoke(t.Context(), "ami-00000000000000000", "r"); fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("no such build: %v", err)
	}
	r, err := w.promoter().Revoke(t.Context(), v2, "CVE-2026-1234")
	if err != nil || len(r.AMIs) != 2 || len(r.Current) != 3 || r.Version != "2" {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, to := range []string{"dev", "test", "prod"} {
		_, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: to, Build: "2"})
		if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "is revoked: CVE-2026-1234") {
			t.Errorf("promotion to %s: %v", to, err)
		}
		if back, err := w.promoter().Rollback(t.Context(), "web", to, ""); err != nil || back.To.Version != "1" {
			t.Errorf("back in %s: %+v, %v", to, back, err)
		}
	}
	if move := w.promote("web", "dev", ""); move.To.AMI != v1 {
		t.Errorf("the newest build that may be used is %+v", move)
	}
}

// The same inputs, baked again under the same version, are another build: what was
// said of one holds for that one alone.
func TestBakedAgainIsAnotherBuild(t *testing.T) {
	w := wide(t)
	of := func(run string) string {
		id := w.build("web", run[:1])
		_, err := w.cloud.EC2.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: cloud.Tags(map[string]string{tags.Run: run, tags.Version: "7", tags.Fingerprint: "f777777"})})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first := of("1st")
	w.promote("web", "dev", first)
	w.promote("web", "test", first)
	if _, err := w.promoter().Approve(t.Context(), first, "prod", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.promoter().Revoke(t.Context(), first, "r"); err != nil {
		t.Fatal(err)
	}
	second := of("2nd")
	w.promote("web", "dev", second)
	// Their version alone does not tell which one is meant, wherever else one is.
	for _, to := range []string{"dev", "test"} {
		_, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: to, Build: "7"})
		if fail.ExitCode(err) != fail.CodeInput || to == "dev" && !strings.Contains(fmt.Sprint(err), `"7" means 2 builds of web`) {
			t.Errorf("by the version, to %s: %v", to, err)
		}
	}
	if move := w.promote("web", "test", ""); move.To.AMI != second || !move.Changed {
		t.Errorf("the second in test: %+v", move)
	}
	p := w.promoter()
	in, err := p.place(t.Context(), "prod")
	if err != nil {
		t.Fatal(err)
	}
	test, err := p.place(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	for ami, want := range map[string]int{first: 1, second: 0} {
		b, err := p.find(t.Context(), test, "web", ami)
		if err != nil {
			t.Fatal(err)
		}
		if all, err := p.approvals(t.Context(), in, b); err != nil || len(all) != want {
			t.Errorf("approvals of %s: %+v, %v", ami, all, err)
		}
	}
}
