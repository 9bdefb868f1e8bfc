package promote

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

func (w *world) requires(environment string, r project.Requires) {
	w.t.Helper()
	env, err := w.project.Environment(environment)
	if err != nil {
		w.t.Fatal(err)
	}
	env.Requires = &r
}

// unmet are the gates that a promotion of web to test is refused for.
func (w *world) unmet() []string {
	w.t.Helper()
	_, err := w.promoter().Promote(w.t.Context(), Request{Image: "web", To: "test"})
	var gates *GatesError
	if !errors.As(err, &gates) {
		w.t.Fatalf("error %v", err)
	}
	if fail.ExitCode(err) != fail.CodeInput || len(fail.Hints(err)) != 1 {
		w.t.Errorf("exit code %d, hints %q", fail.ExitCode(err), fail.Hints(err))
	}
	var names []string
	for _, g := range gates.Unmet {
		names = append(names, g.Name)
		if g.Why == "" || g.How == "" {
			w.t.Errorf("gate %+v", g)
		}
	}
	return names
}

func TestGatesAreToldAllAtOnceAndMetOneByOne(t *testing.T) {
	w := newWorld(t)
	ami := w.build("web", "1")
	w.promote("web", "dev", "")
	w.requires("test", project.Requires{
		Checks: []string{"smoke", "load"}, Soak: project.Duration(time.Hour),
		Approval: &project.Approval{By: []string{"*:root"}}, Scan: &project.Scan{MaxSeverity: "medium"},
	})
	meet := func(want string) {
		t.Helper()
		if got := strings.Join(w.unmet(), " "); got != want {
			t.Errorf("unmet %s, want %s", got, want)
		}
	}
	meet("checks checks soak approval scan")
	if n := w.calls("PutParameter"); n != 1 {
		t.Errorf("%d pointers were written, want that of dev alone", n)
	}

	checked := func(name string, passed bool) {
		t.Helper()
		if err := w.promoter().Checked(t.Context(), "dev", name, []string{ami}, passed); err != nil {
			t.Fatal(err)
		}
	}
	checked("smoke", true)
	checked("other", true) // nobody asks for it
	meet("checks soak approval scan")
	checked("load", true)
	checked("smoke", false)
	meet("checks soak approval scan")
	checked("smoke", true)
	meet("soak approval scan")

	if _, err := w.promoter().Approve(t.Context(), "1", "test", "looks good"); err != nil {
		t.Fatal(err)
	}
	again, err := w.promoter().Approve(t.Context(), ami, "test", "still")
	if err != nil || len(again) != 1 || again[0].Note != "still" {
		t.Errorf("approved again: %+v, %v", again, err)
	}
	meet("soak scan")

	for _, scan := range []struct {
		found map[string]int
		want  string
	}{{map[string]int{"high": 1, "low": 3}, "soak scan"}, {map[string]int{"medium": 2}, "soak"}} {
		if _, err := w.promoter().Scanned(t.Context(), ami, scan.found); err != nil {
			t.Fatal(err)
		}
		meet(scan.want)
	}

	w.requires("test", project.Requires{Soak: project.Duration(time.Nanosecond), Checks: []string{"smoke"}})
	w.promote("web", "test", "")
	w.requires("test", project.Requires{Soak: project.Duration(time.Hour)})
	if m := w.promote("web", "test", ""); m.Changed { // what is current has passed
		t.Errorf("moved again: %+v", m)
	}
}

func TestApprovalsThatDoNotCount(t *testing.T) {
	w := newWorld(t)
	w.build("web", "1")
	w.promote("web", "dev", "")
	for _, rule := range []project.Approval{{By: []string{"release-*"}}, {NotPromoter: true}, {Count: 2}} {
		w.requires("test", project.Requires{Approval: &rule})
		if _, err := w.promoter().Approve(t.Context(), "1", "test", ""); err != nil {
			t.Fatal(err)
		}
		if got := w.unmet(); !slices.Equal(got, []string{GateApproval}) {
			t.Errorf("%+v: unmet %q", rule, got)
		}
	}
	if _, err := w.promoter().Approve(t.Context(), "9", "test", ""); fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("a build that is not there: %v", err)
	}
	// Another build needs an approval of its own.
	w.requires("test", project.Requires{Approval: &project.Approval{}})
	w.build("web", "2")
	w.promote("web", "dev", "")
	if got := w.unmet(); !slices.Equal(got, []string{GateApproval}) {
		t.Errorf("unmet %q", got)
	}
}

func TestGatesAreSkippedOnRecord(t *testing.T) {
	w := newWorld(t)
	w.build("web", "1")
	w.promote("web", "dev", "")
	w.requires("test", project.Requires{Approval: &project.Approval{}})
	if _, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "test", SkipGates: true}); fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("without a reason: %v", err)
	}
	// Skipping the ladder skips nothing else.
	if _, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "test", SkipLadder: true, Reason: "x"}); fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("--skip-ladder: %v", err)
	}
	if _, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "test", SkipGates: true, Reason: "an outage"}); err != nil {
		t.Fatal(err)
	}
	entries, err := w.promoter().History(t.Context(), "web", "test")
	if err != nil || len(entries) != 1 || entries[0].Action != actionSkipGates || entries[0].Reason != "an outage" {
		t.Errorf("history %+v, %v", entries, err)
	}
}

func TestApproveWhatARunMadeCurrent(t *testing.T) {
	w := newWorld(t)
	for _, image := range []string{"web", "db"} {
		w.build(image, "1")
	}
	const run = "20261121T101500Z-1f2e3d"
	for _, image := range []string{"web", "db"} {
		if _, err := New(Options{Project: w.project, Provider: w.provider, Run: run}).Promote(t.Context(), Request{Image: image, To: "dev"}); err != nil {
			t.Fatal(err)
		}
	}
	approvals, err := w.promoter().Approve(t.Context(), run, "test", "both")
	if err != nil || len(approvals) != 2 || approvals[0].Run != run {
		t.Errorf("approvals %+v, %v", approvals, err)
	}
	if _, err := w.promoter().Approve(t.Context(), "20261121T101500Z-000000", "test", ""); fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("a run that did nothing: %v", err)
	}
}

func TestIdentities(t *testing.T) {
	user, session := "arn:aws:iam::111111111111:user/ops/ada", "arn:aws:sts::111111111111:assumed-role/Release/ada@example.com"
	for _, c := range []struct {
		pattern, arn string
		want         bool
	}{
		{"ada", user, true}, {"a*", user, true}, {"ops", user, false}, {"bob", user, false}, {user, user, true},
		{"arn:aws:iam::*:user/ops/*", user, true}, {"arn:aws:iam::222222222222:*", user, false},
		{"root", "arn:aws:iam::111111111111:root", true}, {"Release", session, true}, {"*@example.com", session, true}, {"ada", session, false}, {"Releas?", session, false},
	} {
		if got := identityMatches(c.pattern, c.arn); got != c.want {
			t.Errorf("%s for %s: %t", c.pattern, c.arn, got)
		}
	}
}

func TestFindings(t *testing.T) {
	for _, c := range []struct {
		name, report string
		want         map[string]int
	}{
		{"trivy", `{"Results": [{"Vulnerabilities": [{"Severity": "HIGH"}, {"Severity": "UNKNOWN"}]}, {"Vulnerabilities": null}]}`, map[string]int{"high": 1, "low": 1}},
		{"grype", `{"matches": [{"vulnerability": {"severity": "Negligible"}}, {"vulnerability": {"severity": "Critical"}}]}`, map[string]int{"none": 1, "critical": 1}},
		{"inspector", `{"findings": [{"severity": "MEDIUM"}, {"severity": "INFORMATIONAL"}]}`, map[string]int{"medium": 1, "none": 1}},
		{"nothing found", `{"findings": []}`, map[string]int{}},
		{"nothing found by Trivy", `{"SchemaVersion": 2, "ArtifactName": "ami-1", "Results": [{"Target": "debian"}]}`, map[string]int{}},
		{"related and ignored", `{"matches": [{"vulnerability": {"severity": "Low"}, "relatedVulnerabilities": [{"severity": "Critical"}]}], "ignoredMatches": [{"vulnerability": {"severity": "High"}}]}`, map[string]int{"low": 1}},
		{"suppressed", `{"findings": [{"severity": "CRITICAL", "status": "SUPPRESSED"}, {"severity": "LOW", "status": "ACTIVE"}]}`, map[string]int{"low": 1}},
		{"two pages", `{"findings": [{"severity": "LOW"}]} {"findings": [{"severity": "HIGH"}]}`, map[string]int{"low": 1, "high": 1}},
	} {
		got, err := Findings([]byte(c.report))
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	for _, wrong := range []string{"", "high", `"high"`, `{"severity": "awful"}`, `{"severity": 7}`, `{}`, `{"error": "denied"}`, `{"runs": [{"results": [{"level": "error"}]}]}`,
		`{"findings": [{"title": "x"}]}`, `{"severity": "low"} garbage`} {
		if _, err := Findings([]byte(wrong)); fail.ExitCode(err) != fail.CodeInput {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
