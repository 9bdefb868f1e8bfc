package emulator

import (
	"testing"

	"github.com/goldline-dev/goldline/internal/machine"
)

// Which kinds of machine work is tried out once for a folder, not at each start.
func TestKindsAreRemembered(t *testing.T) {
	dir := t.TempDir()
	if machine.Conditions(dir) == "" {
		t.Skip("the conditions for machines cannot be told on this system")
	}
	note := func() string {
		c, err := Open(t.Context(), Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}()
		text, _ := c.settings.get(world{}, worksSetting)
		return text
	}
	first := note()
	if first == "" {
		t.Fatal("nothing was remembered")
	}
	forge := func(text string) {
		c := newTestCloud(t, Options{Dir: dir})
		if err := c.store.transact(func() error { c.settings.put(world{}, worksSetting, text); return nil }); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	trusted := string(machine.InProcess) + " " + machine.Conditions(dir)
	forge(trusted)
	if got := note(); got != trusted {
		t.Errorf("tried again under the same conditions: %q", got)
	}
	forge(string(machine.InProcess) + " another boot")
	if got := note(); got != first {
		t.Errorf("under other conditions it is %q, not %q", got, first)
	}
}
