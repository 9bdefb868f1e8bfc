package launch

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"

	"github.com/goldline-dev/goldline/internal/project"
)

// How long names may be, of what has no other ID than its name or needs one
// beside its ID.
const (
	maxScalingName  = 255 // https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html
	maxTemplateName = 128 // https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html
)

var notInNames = regexp.MustCompile(`[^a-zA-Z0-9-]+`)

// name is the name of what is made: project, environment and the resource's own
// name, as letters, digits and dashes. A name that is too long ends in a digest
// of the identity instead. What takes a predecessor's place has a name of its
// own, since both exist for a while.
func (t *task) name(r *project.Resource, limit int) string {
	return resourceName(t.Project, t.environment, r, t.generation, limit)
}

func resourceName(projectName, environment string, r *project.Resource, generation, limit int) string {
	plain := projectName + "-" + environment + "-" + displayName(r)
	name := strings.Trim(notInNames.ReplaceAllString(strings.ReplaceAll(plain, "]", ""), "-"), "-")
	suffix := ""
	if generation > 1 {
		suffix = "-" + strconv.Itoa(generation)
	}
	if len(name)+len(suffix) > limit {
		sum := sha256.Sum256([]byte(r.UUID))
		suffix = "-" + hex.EncodeToString(sum[:4]) + suffix
		name = strings.TrimRight(name[:limit-len(suffix)], "-")
	}
	return name + suffix
}
