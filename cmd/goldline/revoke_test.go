package main

import (
	"errors"
	"testing"

	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/promote"
)

// What cannot go back from a revoked build is left: where that is current, and
// where only its instances are, because an earlier run has moved the pointer.
func TestStillThere(t *testing.T) {
	revoked := promote.Revocation{Image: "web", Version: "3", AMIs: []string{"ami-3", "ami-3b"}}
	denied := fail.Clean(errors.New("denied"))
	for _, c := range []struct {
		ami, version string
		want         fail.Left
	}{
		{"ami-3b", "3", fail.Left{What: "web 3, which is revoked, current in dev", Command: "goldline promote web --to dev"}},
		{"ami-2", "2", fail.Left{What: "instances of web 3, which is revoked, in dev", Command: "goldline launch dev"}},
	} {
		err := stillThere(denied, promote.Standing{Image: "web", Environment: "dev", AMI: c.ami, Version: c.version}, revoked)
		if left := fail.LeftOf(err); fail.ExitCode(err) != fail.CodeDirty || len(left) != 1 || left[0] != c.want {
			t.Errorf("%s: code %d, left %v", c.ami, fail.ExitCode(err), left)
		}
	}
	if err := stillThere(fail.Dirty(errors.New("half of it")), promote.Standing{}, revoked); len(fail.LeftOf(err)) > 0 {
		t.Errorf("left twice: %v", fail.LeftOf(err))
	}
}
