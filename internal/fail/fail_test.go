package fail

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
)

func TestExitCode(t *testing.T) {
	plain := errors.New("broken")
	for _, test := range []struct {
		name    string
		err     error
		code    int
		outcome string
	}{
		{"none", nil, 0, Succeeded},
		{"no meaning of its own", plain, 1, FailedDirty},
		{"input", Inputf("no image %q", "wbe"), 2, FailedClean},
		{"put back", Clean(plain), 3, FailedClean},
		{"left", Dirty(plain), 1, FailedDirty},
		{"differences", ErrDifferences, 4, Succeeded},
		{"interrupted", fmt.Errorf("bake web: %w", context.Canceled), 130, FailedClean},
		{"wrapped", fmt.Errorf("launch prod: %w", Clean(plain)), 3, FailedClean},
		{"outer mark wins", Clean(fmt.Errorf("bake: %w", Inputf("x"))), 3, FailedClean},
		{"worst of several", Join(Clean(plain), Inputf("x")), 3, FailedClean},
		{"left is worse than put back", Join(Clean(plain), plain), 1, FailedDirty},
		{"wrapped join", fmt.Errorf("run: %w", Join(Inputf("a"), Inputf("b"))), 2, FailedClean},
		{"mark above a join", Clean(Join(plain, plain)), 3, FailedClean},
		{"nothing was changed before", Unchanged(plain), 3, FailedClean},
		{"nothing was changed before several", Unchanged(Join(Inputf("x"), plain)), 3, FailedClean},
		{"nothing was changed, and it means something", Unchanged(Inputf("x")), 2, FailedClean},
		{"nothing was changed, and something is left", Unchanged(Join(plain, Dirty(plain))), 1, FailedDirty},
		{"nothing was changed before an interrupt", Unchanged(context.Canceled), 130, FailedClean},
		{"nothing was changed, and nothing is wrong", Unchanged(nil), 0, Succeeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := ExitCode(test.err); got != test.code {
				t.Errorf("code %d, want %d", got, test.code)
			}
			if got := Outcome(test.err); got != test.outcome {
				t.Errorf("outcome %s, want %s", got, test.outcome)
			}
		})
	}
}

func TestJoin(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	cancelled := fmt.Errorf("c: %w", context.Canceled)
	for _, test := range []struct {
		name string
		errs []error
		want string
	}{
		{"nothing", []error{nil, nil}, ""},
		{"order of declaration", []error{b, nil, a}, "b\na"},
		{"a sibling's cancellation is no error of its own", []error{cancelled, a}, "a"},
		{"cancellation alone is one", []error{cancelled, cancelled}, "c: context canceled"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if err := Join(test.errs...); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestHintsAndLeftAreFoundInJoins(t *testing.T) {
	first := Left{What: "vpc.main vpc-1", Command: "goldline destroy dev"}
	second := Left{What: "instance.web i-1", Command: "goldline launch prod"}
	err := Join(
		fmt.Errorf("launch dev: %w", WithHint(Dirty(errors.New("no"), first), "ask for more")),
		fmt.Errorf("launch prod: %w", Dirty(WithHint(errors.New("no"), "ask for more"), second)),
	)
	if got, want := LeftOf(err), []Left{first, second}; !reflect.DeepEqual(got, want) {
		t.Errorf("left %v, want %v", got, want)
	}
	if got, want := Hints(err), []string{"ask for more"}; !reflect.DeepEqual(got, want) {
		t.Errorf("hints %v, want %v", got, want)
	}
}

// A mark above a join holds for all of it, however it is wrapped.
func TestMarksAboveJoins(t *testing.T) {
	joined := Join(errors.New("instance.web[0]: no"), errors.New("none of it took the new build"))
	for want, err := range map[int]error{
		CodeClean: fmt.Errorf("stage launch: %w", Clean(joined)),
		CodeInput: Join(fmt.Errorf("stage launch: %w", WithHint(Input(joined), "look"))),
		CodeDirty: fmt.Errorf("stage launch: %w", joined),
	} {
		if got := ExitCode(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}
