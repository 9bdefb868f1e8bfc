package cloud

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Pointer says which AMI is current for an image in an environment.
type Pointer struct {
	Image   string
	AMI     string
	Version int64 // of the SSM parameter: 1, 2, ...
	Since   time.Time
	// Architecture is empty for the pointer that holds the main AMI, and Others are
	// those beside it, by architecture. They mean anything only where their AMIs are
	// of the same build: a build for fewer architectures leaves them as they are.
	Architecture string
	Others       map[string]Pointer
}

// Pointers reads all pointers of an environment, by image, in one call a page.
func (c *Cloud) Pointers(ctx context.Context, project, environment string) (map[string]Pointer, error) {
	path := tags.Pointers(project, environment)
	found := map[string]Pointer{}
	others := map[string]map[string]Pointer{}
	pages := ssm.NewGetParametersByPathPaginator(c.SSM, &ssm.GetParametersByPathInput{Path: aws.String(strings.TrimSuffix(path, "/"))})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the pointers below %s: %w", path, err)
		}
		for _, p := range page.Parameters {
			image, architecture, beside := strings.Cut(strings.TrimPrefix(aws.ToString(p.Name), path), ".")
			pointer := Pointer{Image: image, AMI: aws.ToString(p.Value), Version: p.Version, Since: aws.ToTime(p.LastModifiedDate), Architecture: architecture}
			switch {
			case !beside:
				found[image] = pointer
			case others[image] == nil:
				others[image] = map[string]Pointer{architecture: pointer}
			default:
				others[image][architecture] = pointer
			}
		}
	}
	for image, beside := range others {
		main := found[image] // empty where a first promotion was cut short
		main.Image, main.Others = image, beside
		found[image] = main
	}
	return found, nil
}
