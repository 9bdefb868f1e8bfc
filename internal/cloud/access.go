package cloud

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/goldline-dev/goldline/internal/fail"
)

// Access is how calls are made where something else than the AWS SDK's own chain
// says it. The local cloud takes no notice of it.
type Access struct {
	AccessKey, SecretKey, Token string // go before Profile
	Profile                     string
	CredentialsFile             string // in place of ~/.aws/credentials
	MFACode                     string // for a profile whose role wants one
	Role                        *Role
	Retries                     int    // of a call that fails in passing; 0 leaves it as it is
	EC2Endpoint                 string // URL
	Insecure                    bool   // of EC2Endpoint: no certificate is checked
}

// Role is a role to assume, and the session that comes of it.
type Role struct {
	ARN, SessionName, ExternalID, Policy string
	Duration                             time.Duration
	PolicyARNs, TransitiveTagKeys        []string
	Tags                                 map[string]string
}

// options are what the SDK's configuration is loaded with.
func (a *Access) options() []func(*config.LoadOptions) error {
	if a == nil {
		return nil
	}
	var o []func(*config.LoadOptions) error
	if a.AccessKey != "" {
		o = append(o, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(a.AccessKey, a.SecretKey, a.Token)))
	}
	if a.Profile != "" {
		o = append(o, config.WithSharedConfigProfile(a.Profile))
	}
	if file := a.CredentialsFile; file != "" {
		if rest, ok := strings.CutPrefix(file, "~/"); ok {
			if home, err := os.UserHomeDir(); err == nil {
				file = filepath.Join(home, rest)
			}
		}
		o = append(o, config.WithSharedCredentialsFiles([]string{file}))
	}
	if a.MFACode != "" {
		o = append(o, config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) {
			o.TokenProvider = func() (string, error) { return a.MFACode, nil }
		}))
	}
	return o
}

// check says what an SDK would only complain of with a call.
func (a *Access) check() error {
	if a == nil || a.CredentialsFile == "" || strings.HasPrefix(a.CredentialsFile, "~/") {
		return nil
	}
	if _, err := os.Stat(a.CredentialsFile); err != nil {
		return fail.Input(fmt.Errorf("shared_credentials_file: %w", err))
	}
	return nil
}

// assume makes the configuration's credentials those of the role.
func (a *Access) assume(cfg *aws.Config) {
	if a == nil || a.Role == nil || a.Role.ARN == "" {
		return
	}
	r := a.Role
	provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(*cfg), r.ARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "goldline"
		if r.SessionName != "" {
			o.RoleSessionName = r.SessionName
		}
		if r.ExternalID != "" {
			o.ExternalID = aws.String(r.ExternalID)
		}
		if r.Policy != "" {
			o.Policy = aws.String(r.Policy)
		}
		if r.Duration > 0 {
			o.Duration = r.Duration
		}
		for _, arn := range r.PolicyARNs {
			o.PolicyARNs = append(o.PolicyARNs, ststypes.PolicyDescriptorType{Arn: aws.String(arn)})
		}
		for key, value := range r.Tags {
			o.Tags = append(o.Tags, ststypes.Tag{Key: aws.String(key), Value: aws.String(value)})
		}
		o.TransitiveTagKeys = r.TransitiveTagKeys
	})
	cfg.Credentials = aws.NewCredentialsCache(provider)
}

// ec2 are the options of EC2's client.
func (a *Access) ec2() func(*ec2.Options) {
	return func(o *ec2.Options) {
		if a == nil {
			return
		}
		if a.EC2Endpoint != "" {
			o.BaseEndpoint = aws.String(a.EC2Endpoint)
		}
		if a.Insecure {
			o.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
				t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the template says so
			})
		}
	}
}

// foreign tells whether calls go to an EC2 that is not AWS's.
func (a *Access) foreign() bool { return a != nil && a.EC2Endpoint != "" }

// RegionOf is Region as the access's own configuration has it.
func (p *Provider) RegionOf(ctx context.Context, a *Access) (string, error) {
	if a == nil || p.config.Transport != nil {
		return p.Region(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	base, err := p.load(ctx, a)
	if err != nil {
		return "", err
	}
	return base.Region, nil
}
