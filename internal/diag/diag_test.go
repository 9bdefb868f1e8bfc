package diag

import (
	"errors"
	"testing"
)

func TestRender(t *testing.T) {
	var l List
	l.AddHint(Pos{"topology/vpcs/main.yaml", 2, 2}, `did you mean "cidr_block"?`, "unknown key %q", "cidr_blok")
	l.Addf(Pos{"goldline.yaml", 0, 0}, "project is missing")
	l.Addf(Pos{"gone.yaml", 3, 1}, "cannot be shown")
	l.Addf(Pos{"gone.yaml", 3, 1}, "cannot be shown")
	var err *Error
	if !errors.As(l.Err(), &err) {
		t.Fatalf("%T", l.Err())
	}
	got := err.Render(func(file string) ([]byte, error) {
		if file == "gone.yaml" {
			return nil, errors.New("gone")
		}
		return []byte("name: main\n\tcidr_blok: 10.0.0.0/16\n"), nil
	})
	want := `goldline.yaml: project is missing

gone.yaml:3:1: cannot be shown

topology/vpcs/main.yaml:2:2: unknown key "cidr_blok"
    2 | 	cidr_blok: 10.0.0.0/16
      | 	^
  = did you mean "cidr_block"?
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if err.ExitCode() != 2 {
		t.Errorf("exit code %d", err.ExitCode())
	}
}

func TestNoProblemsAreNoError(t *testing.T) {
	if err := (List{}).Err(); err != nil {
		t.Error(err)
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"cidr_block", "subnet", "vpc", "web", "instance_type"}
	for word, want := range map[string]string{
		"cidr_blok":     "cidr_block",
		"subent":        "subnet",
		"wbe":           "web",
		"vcp":           "vpc",
		"instance-type": "instance_type",
		"volume":        "",
		"x":             "",
	} {
		if got := Suggest(word, known); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}
