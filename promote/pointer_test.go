package promote

import (
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/emulator"
)

// TestPointerThatDoesNotShowYet: a run that ended after it had made a pointer,
// and the same again before Parameter Store shows it.
func TestPointerThatDoesNotShowYet(t *testing.T) {
	w := openWorld(t, emulator.Options{Machine: emulator.NoMachines, Transition: 100 * time.Millisecond})
	w.launch()
	w.awaitInstance()
	ami := w.build("web", "1")
	w.local.Inject(emulator.Fault{Action: "GetParameter", Nth: 1, Kind: emulator.Error, Code: "UnauthorizedOperation"})
	if _, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "dev"}); err == nil {
		t.Fatal("the promotion whose pointer could not be read succeeded")
	}
	// It shows between the second run's look at the pointers and its write.
	w.local.ClearFaults()
	w.local.Inject(emulator.Fault{Action: "PutParameter", Nth: 1, Kind: emulator.Error, Code: "ThrottlingException", Times: 2})
	if move := w.promote("web", "dev", ""); move.To.AMI != ami {
		t.Errorf("again: %+v", move)
	}
}
