package cloud

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// Console reads the console of an instance as it is now. Only instances on
// Nitro can be asked for that; of the others AWS has what it last kept.
func (c *Cloud) Console(ctx context.Context, id string) (string, error) {
	in := &ec2.GetConsoleOutputInput{InstanceId: aws.String(id)}
	if _, kept := c.kept.Load(id); !kept {
		in.Latest = aws.Bool(true)
	}
	out, err := c.EC2.GetConsoleOutput(ctx, in)
	if err != nil && in.Latest != nil && strings.Contains(Code(err), "Unsupported") {
		c.kept.Store(id, true)
		in.Latest = nil
		out, err = c.EC2.GetConsoleOutput(ctx, in)
	}
	if err != nil {
		return "", err
	}
	text, err := base64.StdEncoding.DecodeString(aws.ToString(out.Output))
	if err != nil {
		return "", fmt.Errorf("console of %s: %w", id, err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n"), nil
}
