package conventions

import (
	"strconv"
	"strings"
	"testing"
)

// arrows says what of this project each part of the house may import beside
// itself. The longest prefix counts.
var arrows = map[string][]string{
	"cmd":       {"pipelines", "bake", "promote", "launch", "userdata", "internal"},
	"pipelines": {"bake", "promote", "launch", "userdata", "internal"},
	"bake":      {"userdata", "internal"},
	"promote":   {"userdata", "internal"},
	"launch":    {"userdata", "internal"},
	"userdata":  {},
	"bench":     {"bake", "launch", "internal"},

	"internal/diag":        {},
	"internal/event":       {},
	"internal/tags":        {},
	"internal/fail":        {},
	"internal/graph":       {"internal/fail"},
	"internal/leash":       {"internal/fail"},
	"internal/probe":       {"internal/cloud", "internal/fail", "internal/leash"},
	"internal/plugin":      {"internal/graph", "internal/leash"},
	"internal/cloud":       {"internal/fail", "internal/graph", "internal/tags"},
	"internal/ledger":      {"internal/event", "internal/fail"},
	"internal/lease":       {"internal/cloud", "internal/event", "internal/fail", "internal/tags"},
	"internal/hcl2":        {"internal/diag"},
	"internal/project":     {"internal/diag", "internal/fail", "internal/graph", "internal/tags", "internal/hcl2"},
	"internal/machine":     {},
	"internal/mototest":    {"internal/cloud"},
	"internal/emulator":    {"internal/machine"},
	"internal/conventions": {},
}

// emulatorUsers may import the local cloud; tests may anywhere.
var emulatorUsers = []string{"cmd", "internal/emulator", "bench"}

func TestImportArrows(t *testing.T) {
	_, all := tree(t)
	for _, s := range all {
		room := roomOf(s.dir)
		if room == "" {
			t.Errorf("%s lies in no room: a new package is a decision, so give it its arrows here", s.path)
			continue
		}
		for _, imported := range s.file.Imports {
			name, err := strconv.Unquote(imported.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			target, ok := strings.CutPrefix(name, module+"/")
			if !ok || below(target, room) {
				continue
			}
			if s.test && below(target, "internal") {
				continue // tests stand on the local cloud and whatever else they need below the rooms
			}
			if !allowed(arrows[room], target) {
				t.Errorf("%s imports %s: %s may import %v", s.path, target, room, arrows[room])
			}
			if !s.test && (below(target, "internal/emulator") || below(target, "internal/machine")) && !allowed(emulatorUsers, room) {
				t.Errorf("%s imports %s: only cmd and tests may see the local cloud", s.path, target)
			}
		}
	}
}

func roomOf(dir string) string {
	longest := ""
	for room := range arrows {
		if below(dir, room) && len(room) > len(longest) {
			longest = room
		}
	}
	return longest
}

func allowed(rooms []string, target string) bool {
	for _, room := range rooms {
		if below(target, room) {
			return true
		}
	}
	return false
}

// TestUserdataIsStandardLibraryOnly: the document is read on instances by
// programs that should not have to take on our dependencies.
func TestUserdataIsStandardLibraryOnly(t *testing.T) {
	_, all := tree(t)
	for _, s := range all {
		if s.dir != "userdata" || s.test {
			continue
		}
		for _, imported := range s.file.Imports {
			name, _ := strconv.Unquote(imported.Path.Value)
			if strings.Contains(strings.Split(name, "/")[0], ".") {
				t.Errorf("%s imports %s", s.path, name)
			}
		}
	}
}

// TestOnlyBakeKnowsPacker: Packer's SDK stops at the bake room.
func TestOnlyBakeKnowsPacker(t *testing.T) {
	_, all := tree(t)
	for _, s := range all {
		for _, imported := range s.file.Imports {
			name, _ := strconv.Unquote(imported.Path.Value)
			if strings.HasPrefix(name, "github.com/hashicorp/packer") && !below(s.dir, "bake") {
				t.Errorf("%s imports %s", s.path, name)
			}
		}
	}
}
