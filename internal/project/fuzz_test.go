package project

import (
	"strings"
	"testing"
)

// fuzzed are files of each kind.
var fuzzed = []string{"goldline.yaml", "environments/dev.yaml", "images/x.yaml", "images/x.json", "topology/instances/x.yaml", "pipelines/x.yaml"}

// FuzzLoad: no text in any kind of file makes the loader panic.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "a: &a [*a]", "<<: [{a: b}, c]", "\tx: y", "builders: [{type: amazon-ebs}]", "%YAML 1.1\n---\n!!binary x",
		"vpc: main\ncidr_block: ${var.x}\ncount: ${index}\n", "each: {a: {b: ${each.value.b}}}\nsubnet: private[${each.key}]",
		"stages: [{name: a, bake: all, needs: [a]}]", "stages: [{name: a, check: {console: '(', environment: dev}}]",
		"variables: {a: '{{user `a`}}', b: null}\nprovisioners: [{type: shell, inline: ['{{user `a`}} {{env `b`}}']}]",
		"project: x\nladder: [dev]\n", "account: 000000000000\nregion: eu-central-1\nvars: {a: '${var.a}'}",
		"kind: instance\nname: a\nsubnet: ${a.b.c}\nuser_data: {extra: {x: 0x1F, y: 0o17, z: 1e999, w: 2001-01-01, v: ~}}\n---\nkind: vpc\n",
	} {
		for kind := range fuzzed {
			f.Add(uint8(kind), seed)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, text string) {
		if strings.Contains(text, "\n-- ") || strings.HasPrefix(text, "-- ") {
			t.Skip("the text would be several files")
		}
		file := fuzzed[int(kind)%len(fuzzed)]
		archive := base
		if file == "goldline.yaml" || file == "environments/dev.yaml" {
			archive = strings.Replace(base, "-- "+file+" --", "-- "+file+".old --", 1)
		}
		p, err := Load(write(t, archive+"-- "+file+" --\n"+text), testVocabulary())
		if p == nil {
			t.Fatalf("no project: %v", err)
		}
		_ = render(p, p.Validate(map[string]string{"x": "[a, b]", "y": text}))
	})
}
