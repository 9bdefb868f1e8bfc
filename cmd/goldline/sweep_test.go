package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/lease"
	"github.com/goldline-dev/goldline/internal/tags"
)

// What a run made that holds a lease, on whatever machine, is not swept, however
// long it has expired.
func TestSweepLeavesWhatARunHoldsElsewhere(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/project")); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	var out, errs bytes.Buffer
	p := newProgram([]string{"sweep"}, nil, strings.NewReader(""), &out, &errs)
	p.flags.project, p.flags.local, p.flags.localMachine = dir, true, "none"
	defer p.close()
	loaded, dev, err := p.environment("dev")
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.cloud(ctx, dev)
	if err != nil {
		t.Fatal(err)
	}
	const run = "20260101T000000Z-aaaaaa"
	set := map[string]string{tags.Project: loaded.Name, tags.Image: "web", tags.Run: run, tags.Expires: time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)}
	if _, err := c.EC2.CreateKeyPair(ctx, &ec2.CreateKeyPairInput{
		KeyName: aws.String("left"), TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeKeyPair, set)},
	}); err != nil {
		t.Fatal(err)
	}
	keeper := lease.New(lease.Options{Project: loaded.Name, Run: run})
	if _, _, err := keeper.Hold(ctx, c, "dev", time.Now()); err != nil {
		t.Fatal(err)
	}
	sweep := func() sweepReport {
		t.Helper()
		r, err := runSweep(ctx, p, nil, sweepOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return r.(sweepReport)
	}
	if r := sweep(); r.Counts.Keep != 1 || r.Orphans[0].Why != "run "+run+" goes on" {
		t.Errorf("while it is held: %+v", r)
	}
	keeper.Close(ctx)
	if r := sweep(); r.Counts.Removed != 1 {
		t.Errorf("when it was given back: %+v", r)
	}
}
