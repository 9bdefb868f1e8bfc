package launch

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/goldline-dev/goldline/internal/cloud"
)

// TestAuditReadsAlone: credentials that may change nothing are enough for an
// audit, and it asks for nothing else.
func TestAuditReadsAlone(t *testing.T) {
	s := newPlatform(t)
	s.launch()
	ctx := t.Context()
	must[*iam.CreateRoleOutput](t)(s.cloud.IAM.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("auditor"), AssumeRolePolicyDocument: aws.String(trustText)}))
	must[*iam.AttachRolePolicyOutput](t)(s.cloud.IAM.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("auditor"), PolicyArn: aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")}))
	provider := cloud.NewProvider(cloud.Config{Transport: s.wire, PollMin: time.Millisecond, PollMax: 5 * time.Millisecond})
	reader, err := provider.For(ctx, cloud.Target{Account: cloud.LocalAccount, Region: testRegion, Role: "arn:aws:iam::" + cloud.LocalAccount + ":role/auditor"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = reader.EC2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.1.0.0/16")})
	denied(t, err, "UnauthorizedOperation")
	_, err = reader.IAM.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("auditor")})
	denied(t, err, "AccessDenied")
	_, err = reader.SSM.PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String("/a"), Value: aws.String("b"), Type: ssmtypes.ParameterTypeString})
	denied(t, err, "AccessDeniedException")
	before := len(s.local.Calls())
	o := s.options()
	o.Cloud = reader
	plan, err := Audit(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if !plan.Empty() {
		t.Errorf("an audit finds\n%s", summaryOf(plan))
	}
	for _, call := range s.local.Calls()[before:] {
		if !strings.HasPrefix(call.Action, "Describe") && !strings.HasPrefix(call.Action, "Get") && !strings.HasPrefix(call.Action, "List") {
			t.Errorf("an audit calls %s", call.Action)
		}
	}
}

func denied(t *testing.T, err error, code string) {
	t.Helper()
	if !cloud.Denied(err) || cloud.Code(err) != code {
		t.Errorf("error %v, want %s", err, code)
	}
}
