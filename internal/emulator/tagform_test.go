package emulator

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// TestTagForm: IAM and Systems Manager refuse tags that EC2 takes.
func TestTagForm(t *testing.T) {
	cloud, c := newIAMClient(t, Options{})
	params := ssm.NewFromConfig(configOf(cloud.Transport(), "AKIDLOCAL", "", "eu-central-1"))
	for name, tag := range map[string]struct {
		key, value string
		taken      bool
	}{
		"plain": {"cost:center", "ops@example.com + 7/8 = ä", true}, "empty": {"a", "", true}, "brackets": {"a", "iam_role.web[0]", false},
		"key": {"a;b", "", false}, "no-key": {"", "a", false}, "long": {"a", strings.Repeat("ä", 256), true}, "longer": {"a", strings.Repeat("a", 257), false},
	} {
		_, err := c.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String(name), AssumeRolePolicyDocument: aws.String(trustEC2),
			Tags: []iamtypes.Tag{{Key: &tag.key, Value: &tag.value}}})
		_, ssmErr := params.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("/" + name), Value: aws.String("x"), Type: ssmtypes.ParameterTypeString,
			Tags: []ssmtypes.Tag{{Key: &tag.key, Value: &tag.value}}})
		if tag.taken {
			if err != nil || ssmErr != nil {
				t.Errorf("%s: %v, %v", name, err, ssmErr)
			}
			continue
		}
		wantCode(t, err, "ValidationError")
		wantCode(t, ssmErr, "ValidationException")
	}
}

// TestIAMTagCase: keys of IAM differ in more than capital letters.
func TestIAMTagCase(t *testing.T) {
	_, c := newIAMClient(t, Options{})
	tag := func(key, value string) []iamtypes.Tag { return []iamtypes.Tag{{Key: &key, Value: &value}} }
	if _, err := c.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("web"), AssumeRolePolicyDocument: aws.String(trustEC2), Tags: tag("Cost", "1")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.TagRole(t.Context(), &iam.TagRoleInput{RoleName: aws.String("web"), Tags: tag("cost", "2")}); err != nil {
		t.Fatal(err)
	}
	out, err := c.ListRoleTags(t.Context(), &iam.ListRoleTagsInput{RoleName: aws.String("web")})
	if err != nil || len(out.Tags) != 1 || *out.Tags[0].Key != "cost" || *out.Tags[0].Value != "2" {
		t.Errorf("tags %+v, %v", out, err)
	}
}
