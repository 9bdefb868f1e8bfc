package pipelines

import (
	"strings"
	"testing"
)

// TestEnvironOfABuild: what a local command is told of an image's build.
func TestEnvironOfABuild(t *testing.T) {
	for want, out := range map[string]outcome{
		"GOLDLINE_BUILD_WEB_2=ami-1 GOLDLINE_VERSION_WEB_2=1.0.0": {ami: "ami-1", version: "1.0.0"},
		"GOLDLINE_BUILD_WEB_2=ami-1 GOLDLINE_VERSION_WEB_2=1.0.0 GOLDLINE_BUILD_WEB_2_ARM64=ami-2 GOLDLINE_BUILD_WEB_2_X86_64=ami-1": {
			ami: "ami-1", version: "1.0.0", architectures: map[string]string{"x86_64": "ami-1", "arm64": "ami-2"}},
	} {
		if got := strings.Join(out.environ("web-2"), " "); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}
