package promote

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/event"
)

// TestHistoryIsKeptBeyondWhatParameterStoreKeeps: of 112 moves Parameter Store
// forgets the first 12, and the history none.
func TestHistoryIsKeptBeyondWhatParameterStoreKeeps(t *testing.T) {
	w := newWorld(t)
	amis := []string{w.build("web", "1"), w.build("web", "2")}
	var told []string
	sink := event.Func(func(e event.Event) {
		if e.Kind == event.Warning {
			told = append(told, e.Message)
		}
	})
	const moves = 112
	p := New(Options{Project: w.project, Provider: w.provider, Sink: sink, Run: "run"})
	for i := range moves {
		// What goes wrong at the first archiving, or is stopped half way, is made up for
		// by the next.
		switch i + 1 {
		case archiveFrom:
			w.local.Inject(emulator.Fault{Action: "PutParameter", Kind: emulator.Error, Code: "AccessDeniedException", Nth: 3, Times: -1})
		case archiveFrom + 1:
			w.local.ClearFaults()
		}
		m, err := p.Promote(t.Context(), Request{Image: "web", To: "dev", Build: amis[i%2], Reason: strings.Repeat("a long story ", 20)})
		if err != nil || !m.Changed {
			t.Fatalf("move %d: %+v, %v", i+1, m, err)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], "is not archived") {
		t.Errorf("warnings %q", told)
	}
	entries, err := w.promoter().History(t.Context(), "web", "dev")
	if err != nil || len(entries) != moves {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	for i, e := range entries {
		if e.Pointer != int64(i+1) || e.AMI != amis[i%2] || e.Run != "run" || e.Action != actionPromote || e.By == "" || e.At.IsZero() || e.Current != (i == moves-1) || !e.Exists {
			t.Fatalf("entry %d: %+v", i+1, e)
		}
	}
	kept, err := w.cloud.SSM.GetParameterHistory(t.Context(), &ssm.GetParameterHistoryInput{Name: aws.String("/goldline/shop/dev/web"), MaxResults: aws.Int32(50)})
	if err != nil || kept.Parameters[0].Version != 13 {
		t.Errorf("Parameter Store keeps versions from %d on (%v)", kept.Parameters[0].Version, err)
	}
}

func TestHistoriesOfAllEnvironments(t *testing.T) {
	w := newWorld(t)
	w.build("web", "1")
	w.build("db", "1")
	w.promote("web", "dev", "")
	w.promote("db", "dev", "")
	w.promote("web", "test", "")
	all, err := w.promoter().Histories(t.Context(), "")
	var got []string
	for _, e := range all {
		got = append(got, e.Image+"/"+e.Environment)
		if e.Account == "" || e.Region == "" {
			t.Errorf("entry %+v", e)
		}
	}
	if err != nil || strings.Join(got, " ") != "web/dev db/dev web/test" {
		t.Errorf("histories %q, %v", got, err)
	}
	if all, err = w.promoter().Histories(t.Context(), "db"); err != nil || len(all) != 1 {
		t.Errorf("of db: %+v, %v", all, err)
	}
}
