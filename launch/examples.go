package launch

import "embed"

// examples are the definitions that the reference shows, by kind. Together they
// are one topology.
//
//go:embed examples/*.yaml
var examples embed.FS

// example is the definition that shows a kind; "" for none.
func example(kind string) string {
	text, err := examples.ReadFile("examples/" + kind + ".yaml")
	if err != nil {
		return ""
	}
	return string(text)
}
