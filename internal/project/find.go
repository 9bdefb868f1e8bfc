package project

import (
	"os"
	"path/filepath"

	"github.com/goldline-dev/goldline/internal/fail"
)

// RootFile is the file that makes a folder a project.
const RootFile = "goldline.yaml"

// Find returns the folder at or above from that holds goldline.yaml. Without
// one it is an error of the user's input.
func Find(from string) (string, error) {
	start, err := filepath.Abs(from)
	if err != nil {
		return "", fail.Inputf("project: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(filepath.Join(dir, RootFile))
		if err == nil && !info.IsDir() {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fail.WithHint(fail.Inputf("no %s in %s or any folder above it", RootFile, start),
				"go to a project's folder, or name it with --project DIR")
		}
	}
}

// Defined lists the addresses of all definitions, without index, whichever
// environments they are for.
func (p *Project) Defined() []string {
	var all []string
	for _, f := range p.definitions {
		all = append(all, f.address())
	}
	return all
}
