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
}

// Pointers reads all pointers of an environment, by image, in one call a page.
func (c *Cloud) Pointers(ctx context.Context, project, environment string) (map[string]Pointer, error) {
	path := tags.Pointers(project, environment)
	found := map[string]Pointer{}
	pages := ssm.NewGetParametersByPathPaginator(c.SSM, &ssm.GetParametersByPathInput{Path: aws.String(strings.TrimSuffix(path, "/"))})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the pointers below %s: %w", path, err)
		}
		for _, p := range page.Parameters {
			image := strings.TrimPrefix(aws.ToString(p.Name), path)
			found[image] = Pointer{Image: image, AMI: aws.ToString(p.Value), Version: p.Version, Since: aws.ToTime(p.LastModifiedDate)}
		}
	}
	return found, nil
}
