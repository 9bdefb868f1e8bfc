package cloud

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// answers is a service that answers everything alike.
type answers struct {
	status int
	body   string
}

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// TestPlain: the texts are those that the SDK really makes.
func TestPlain(t *testing.T) {
	const refused = `<Response><Errors><Error><Code>InvalidSubnet.Conflict</Code><Message>The CIDR '10.0.0.0/24' conflicts, with another</Message></Error></Errors><RequestID>3d3f8b6e-1111</RequestID></Response>`
	fromEC2 := func(a answers) error {
		_, err := ec2.New(ec2.Options{Region: "eu-central-1", HTTPClient: &http.Client{Transport: a}, Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""), Retryer: aws.NopRetryer{}}).
			CreateSubnet(context.Background(), &ec2.CreateSubnetInput{VpcId: aws.String("vpc-1")})
		return err
	}
	fromSSM := func(a answers) error {
		name := "/goldline/shop/dev/web"
		_, err := ssm.New(ssm.Options{Region: "eu-central-1", HTTPClient: &http.Client{Transport: a}, Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""), Retryer: aws.NopRetryer{}}).
			GetParameter(context.Background(), &ssm.GetParameterInput{Name: &name})
		return err
	}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"refused":   {fromEC2(answers{400, refused}), "ec2 CreateSubnet: InvalidSubnet.Conflict: The CIDR '10.0.0.0/24' conflicts, with another"},
		"json":      {fromSSM(answers{400, `{"__type":"ParameterNotFound"}`}), "ssm GetParameter: ParameterNotFound: "},
		"no answer": {fromEC2(answers{500, "<html><p class=x>no"}), "ec2 CreateSubnet: HTTP 500, "},
	} {
		got := Plain(c.err.Error())
		if !strings.HasPrefix(got, c.want) || strings.Contains(got, "RequestID") {
			t.Errorf("%s: got %q, want %q\nfrom %q", name, got, c.want, c.err)
		}
	}
	for _, c := range [][2]string{
		{"launch dev: nothing from AWS, api error or not", "launch dev: nothing from AWS, api error or not"},
		{
			"subnet.a: operation error EC2: CreateSubnet, exceeded maximum number of attempts, 9, https response error StatusCode: 0, RequestID: , request send failed, Post \"http://x/\": EOF",
			"subnet.a: ec2 CreateSubnet: after 9 attempts: request send failed, Post \"http://x/\": EOF",
		},
	} {
		if got := Plain(c[0]); got != c[1] {
			t.Errorf("got %q, want %q", got, c[1])
		}
	}
}
