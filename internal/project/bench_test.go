package project

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkTopology: a thousand instances with a volume each, of definitions
// that repeat and of definitions that stand alone.
func BenchmarkTopology(b *testing.B) {
	var archive strings.Builder
	archive.WriteString(base + platform)
	for i := range 500 {
		fmt.Fprintf(&archive, "-- topology/instances/i%d.yaml --\nsubnet: private[a]\nvolumes: [{volume: v%d}]\nuser_data: {extra: {v: \"${volume.v%d.id}\", n: \"${var.size}\"}}\n", i, i, i)
		fmt.Fprintf(&archive, "-- topology/volumes/v%d.yaml --\nsize: 8\n", i)
	}
	archive.WriteString("-- topology/instances/many.yaml --\ncount: 500\nsubnet: private[a]\nvolumes: [{volume: \"many[${index}]\"}]\n")
	archive.WriteString("-- topology/volumes/many.yaml --\ncount: 500\nsize: 8\n")
	dir := write(b, archive.String())
	b.ReportAllocs()
	for b.Loop() {
		p, err := Load(dir, testVocabulary())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Topology("dev", nil); err != nil {
			b.Fatal(err)
		}
	}
}
