package project

import (
	"strings"
	"testing"
	"time"
)

func TestRequires(t *testing.T) {
	p := load(t, `
-- goldline.yaml --
project: shop
ladder: [dev, prod]
-- environments/dev.yaml --
account: "000000000000"
region: eu-central-1
requires: {scan: {max_severity: high}}
-- environments/prod.yaml --
account: "000000000000"
region: eu-central-1
requires: {checks: [smoke], soak: 2h, approval: {by: [ops-*], count: 2, not_promoter: true}}
-- images/web.yaml --
source_ami: ami-12345678
-- pipelines/release.yaml --
stages: [{name: smoke, check: {environment: dev, command: "true"}}]
`)
	prod, err := p.Environment("prod")
	if err != nil {
		t.Fatal(render(p, err))
	}
	r := prod.Requires
	if !r.LadderRule() || time.Duration(r.Soak) != 2*time.Hour || r.Approval.Needed() != 2 || !r.Approval.NotPromoter || r.Scan != nil {
		t.Errorf("requires %+v", r)
	}
	if !p.CheckRecorded("dev", "smoke") || p.CheckRecorded("prod", "smoke") || p.CheckRecorded("dev", "other") {
		t.Error("checks that are recorded")
	}
}

func TestRequiresThatNothingCouldMeet(t *testing.T) {
	dir := write(t, `
-- goldline.yaml --
project: shop
ladder: [dev, prod]
-- environments/dev.yaml --
account: "000000000000"
region: eu-central-1
-- environments/prod.yaml --
account: "000000000000"
region: eu-central-1
requires: {checks: [smok]}
-- images/web.yaml --
source_ami: ami-12345678
-- pipelines/release.yaml --
stages: [{name: smoke, check: {environment: dev, command: "true"}}]
`)
	p, err := Load(dir, testVocabulary())
	if text := render(p, err); !strings.Contains(text, "environments/prod.yaml:3:21") || !strings.Contains(text, `no pipeline has a check stage "smok" for dev`) || !strings.Contains(text, `did you mean "smoke"?`) {
		t.Error(text)
	}
	dir = write(t, `
-- goldline.yaml --
project: shop
ladder: [dev]
-- environments/dev.yaml --
account: "000000000000"
region: eu-central-1
requires: {soak: 1h, scan: {max_severity: bad}}
-- images/web.yaml --
source_ami: ami-12345678
`)
	p, err = Load(dir, testVocabulary())
	if text := render(p, err); !strings.Contains(text, "environments/dev.yaml:3:18: soak looks one rung below") || !strings.Contains(text, "max_severity") {
		t.Error(text)
	}
}
