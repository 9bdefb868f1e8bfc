package emulator

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// testCloud is a local cloud with clients of the default account in one region.
type testCloud struct {
	*Cloud
	ec2 *ec2.Client
	ssm *ssm.Client
	sts *sts.Client
}

const testRegion = "eu-central-1"

// newTestCloud opens a cloud that closes with the test. Without a machine kind
// its instances run nothing; without a transition time changes take 1 ms.
func newTestCloud(t *testing.T, o Options) *testCloud {
	t.Helper()
	if o.Machine == "" {
		o.Machine = NoMachines
	}
	if o.Transition == 0 {
		o.Transition = time.Millisecond
	}
	c, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	cfg := configOf(c.Transport(), "AKIDLOCAL", "", testRegion)
	return &testCloud{Cloud: c, ec2: ec2.NewFromConfig(cfg), ssm: ssm.NewFromConfig(cfg), sts: sts.NewFromConfig(cfg)}
}

// configOf is the configuration of a client that never retries.
func configOf(via http.RoundTripper, key, token, region string) aws.Config {
	return aws.Config{
		Region:       region,
		BaseEndpoint: aws.String("http://local.goldline.invalid"),
		HTTPClient:   &http.Client{Transport: via},
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key, SecretAccessKey: "secret", SessionToken: token}, nil
		}),
	}
}

// serve answers on a port of loopback until the test ends, and returns its URL.
func serve(t *testing.T, c *Cloud) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return "http://" + l.Addr().String()
}

// codeOf is the error code of an AWS error, empty for nil.
func codeOf(err error) string {
	var e smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.ErrorCode()
	}
	return "not of AWS: " + err.Error()
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if got := codeOf(err); got != code {
		t.Errorf("error is %q (%v), not %q", got, err, code)
	}
}
