package promote

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

func TestRollbackWalksBack(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	v1, v2, v3, v4 := w.build("web", "1"), w.build("web", "2"), w.build("web", "3"), w.build("web", "4")
	for _, ami := range []string{v1, v2, v3} {
		w.promote("web", "dev", ami)
	}
	back := func(to, want string) {
		t.Helper()
		move, err := w.promoter().Rollback(ctx, "web", "dev", to)
		if err != nil || move.To.AMI != want || !move.Changed || w.current("dev", "web") != want {
			t.Fatalf("rollback %+v, %v; want %s", move, err, want)
		}
	}
	refused := func(to, mentions string) {
		t.Helper()
		_, err := w.promoter().Rollback(ctx, "web", "dev", to)
		if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(fmt.Sprint(err), mentions) {
			t.Fatalf("error %v, want %q", err, mentions)
		}
	}
	back("", v2)
	back("", v1)
	refused("", "there is no previous build")
	w.promote("web", "dev", v4)
	back("", v1)
	back("3", v3)
	refused(w.build("web", "5"), "was never current there")

	history, err := w.promoter().History(ctx, "web", "dev")
	if err != nil {
		t.Fatal(err)
	}
	var walk []string
	for _, e := range history {
		walk = append(walk, e.Action+" "+e.Version)
	}
	if got := strings.Join(walk, ", "); got != "promote 1, promote 2, promote 3, rollback 2, rollback 1, promote 4, rollback 1, rollback 3" {
		t.Errorf("history: %s", got)
	}
	_, err = w.promoter().Rollback(ctx, "db", "dev", "")
	if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(fmt.Sprint(err), "the history holds no build") {
		t.Errorf("rollback without history: %v", err)
	}
}

func TestRollbackPassesOverWhatIsGone(t *testing.T) {
	w := newWorld(t)
	v1, v2, v3 := w.build("web", "1"), w.build("web", "2"), w.build("web", "3")
	for _, ami := range []string{v1, v2, v3} {
		w.promote("web", "dev", ami)
	}
	if _, err := w.cloud.EC2.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String(v2)}); err != nil {
		t.Fatal(err)
	}
	move, err := w.promoter().Rollback(t.Context(), "web", "dev", "")
	if err != nil || move.To.AMI != v1 {
		t.Errorf("rollback %+v, %v", move, err)
	}
}

func TestRestore(t *testing.T) {
	w := newWorld(t)
	v1, v2 := w.build("web", "1"), w.build("web", "2")
	w.promote("web", "dev", v1)
	w.promote("web", "dev", v2)
	p := w.promoter()
	move, err := p.Rollback(t.Context(), "web", "dev", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Restore(t.Context(), move); err != nil {
		t.Fatal(err)
	}
	if got := w.current("dev", "web"); got != v2 {
		t.Errorf("dev has %s after restore, want %s", got, v2)
	}
	if move, err = w.promoter().Rollback(t.Context(), "web", "dev", ""); err != nil || move.To.AMI != v1 {
		t.Errorf("rollback after restore %+v, %v", move, err)
	}
}

func TestUnfinishedRollback(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	v1, v2 := w.build("web", "1"), w.build("web", "2")
	w.promote("web", "dev", v1)
	w.promote("web", "dev", v2)
	if _, err := w.cloud.EC2.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: aws.String(v2), InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeInstance, map[string]string{tags.Project: "shop", tags.Environment: "dev", tags.Address: "instance.web"})},
	}); err != nil {
		t.Fatal(err)
	}
	if _, found, err := w.promoter().Unfinished(ctx, "web", "dev"); found || err != nil {
		t.Errorf("unfinished before: %v, %v", found, err)
	}
	if _, err := w.promoter().Rollback(ctx, "web", "dev", ""); err != nil {
		t.Fatal(err)
	}
	move, found, err := w.promoter().Unfinished(ctx, "web", "dev")
	if !found || err != nil || move.From.AMI != v2 || move.To.AMI != v1 {
		t.Errorf("unfinished after: %+v, %v, %v", move, found, err)
	}
}
