package emulator

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

const (
	trustEC2 = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}`
	readS3   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}`
)

func newIAMClient(t *testing.T, o Options) (*testCloud, *iam.Client) {
	c := newTestCloud(t, o)
	// IAM's one region is us-east-1, whatever the others'.
	return c, iam.NewFromConfig(configOf(c.Transport(), "AKIDLOCAL", "", "us-east-1"))
}

func TestIAMLife(t *testing.T) {
	cloud, c := newIAMClient(t, Options{})
	before, err := cloud.Inventory()
	if err != nil {
		t.Fatal(err)
	}
	do := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	role := aws.String("web")
	do(c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: role, Path: aws.String("/p/"), AssumeRolePolicyDocument: aws.String(trustEC2), Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}))
	made, err := c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("read"), PolicyDocument: aws.String(readS3)})
	do(made, err)
	arn := made.Policy.Arn
	do(c.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: role, PolicyArn: arn}))
	do(c.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: role, PolicyArn: aws.String("arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")}))
	do(c.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: role, PolicyName: aws.String("more"), PolicyDocument: aws.String(readS3)}))
	profile := aws.String("web")
	do(c.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: profile}))
	do(c.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: profile, RoleName: role}))
	user, group := aws.String("ann"), aws.String("ops")
	do(c.CreateUser(ctx, &iam.CreateUserInput{UserName: user}))
	do(c.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: group}))
	do(c.AddUserToGroup(ctx, &iam.AddUserToGroupInput{UserName: user, GroupName: group}))

	all, err := c.GetAccountAuthorizationDetails(ctx, &iam.GetAccountAuthorizationDetailsInput{})
	do(all, err)
	r := all.RoleDetailList[0]
	if len(r.AttachedManagedPolicies) != 2 || len(r.RolePolicyList) != 1 || len(r.Tags) != 1 || len(r.InstanceProfileList) != 1 ||
		all.UserDetailList[0].GroupList[0] != "ops" || len(all.Policies[0].PolicyVersionList) != 1 {
		t.Errorf("details: %+v", all)
	}
	if !strings.HasPrefix(*r.AssumeRolePolicyDocument, "%7B%22Version") {
		t.Errorf("the document is not encoded: %s", *r.AssumeRolePolicyDocument)
	}

	type refusal struct {
		what, code string
		err        error
	}
	var refused []refusal
	add := func(what, code string, err error) { refused = append(refused, refusal{what, code, err}) }
	_, err = c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: role})
	add("a role in a profile", "DeleteConflict", err)
	_, err = c.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: arn})
	add("an attached policy", "DeleteConflict", err)
	_, err = c.DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: profile})
	add("a profile with a role", "DeleteConflict", err)
	_, err = c.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: profile, RoleName: role})
	add("a second role", "LimitExceeded", err)
	_, err = c.DeleteGroup(ctx, &iam.DeleteGroupInput{GroupName: group})
	add("a group with users", "DeleteConflict", err)
	_, err = c.DeleteUser(ctx, &iam.DeleteUserInput{UserName: user})
	add("a user in a group", "DeleteConflict", err)
	_, err = c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("WEB"), AssumeRolePolicyDocument: aws.String(trustEC2)})
	add("a name that differs by case", "EntityAlreadyExists", err)
	_, err = c.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("none")})
	add("no role", "NoSuchEntity", err)
	_, err = c.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: role, PolicyArn: aws.String("arn:aws:iam::000000000000:policy/none")})
	add("no policy", "NoSuchEntity", err)
	_, err = c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("bad"), AssumeRolePolicyDocument: aws.String(readS3)})
	add("no trust policy", "MalformedPolicyDocument", err)
	_, err = c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("bad"), PolicyDocument: aws.String("{")})
	add("no JSON", "MalformedPolicyDocument", err)
	_, err = c.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("a b")})
	add("no name", "ValidationError", err)
	_, err = c.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("x"), PermissionsBoundary: aws.String("arn:aws:iam::000000000000:policy/none")})
	add("no boundary", "NoSuchEntity", err)
	for n := range 5 {
		_, err = c.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: aws.String(readS3), SetAsDefault: true})
		if n < 4 {
			do(nil, err)
		}
	}
	add("a sixth version", "LimitExceeded", err)
	_, err = c.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v5")})
	add("the default version", "DeleteConflict", err)
	_, err = c.PutUserPermissionsBoundary(ctx, &iam.PutUserPermissionsBoundaryInput{UserName: user, PermissionsBoundary: aws.String("arn:aws:iam::aws:policy/PowerUserAccess")})
	do(nil, err)
	var keys []*string
	for range 2 {
		key, err := c.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: user})
		do(key, err)
		keys = append(keys, key.AccessKey.AccessKeyId)
	}
	_, err = c.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: user})
	add("a third key", "LimitExceeded", err)
	do(c.CreateLoginProfile(ctx, &iam.CreateLoginProfileInput{UserName: user, Password: aws.String("correct horse")}))
	do(c.UpdateUser(ctx, &iam.UpdateUserInput{UserName: user, NewUserName: aws.String("anna"), NewPath: aws.String("/people/")}))
	user = aws.String("anna")
	do(c.UpdateGroup(ctx, &iam.UpdateGroupInput{GroupName: group, NewPath: aws.String("/teams/")}))
	do(c.RemoveUserFromGroup(ctx, &iam.RemoveUserFromGroupInput{UserName: user, GroupName: group}))
	for _, key := range keys {
		_, err = c.DeleteUser(ctx, &iam.DeleteUserInput{UserName: user})
		add("a user with keys", "DeleteConflict", err)
		do(c.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: user, AccessKeyId: key}))
	}
	_, err = c.DeleteUser(ctx, &iam.DeleteUserInput{UserName: user})
	add("a user with a password", "DeleteConflict", err)
	do(c.DeleteLoginProfile(ctx, &iam.DeleteLoginProfileInput{UserName: user}))
	anna, err := c.GetUser(ctx, &iam.GetUserInput{UserName: user})
	do(anna, err)
	if *anna.User.Arn != "arn:aws:iam::000000000000:user/people/anna" || *anna.User.PermissionsBoundary.PermissionsBoundaryArn != "arn:aws:iam::aws:policy/PowerUserAccess" {
		t.Errorf("the user: %+v", anna.User)
	}
	for _, r := range refused {
		if got := codeOf(r.err); got != r.code {
			t.Errorf("%s: %q (%v), not %q", r.what, got, r.err, r.code)
		}
	}

	for _, v := range []string{"v1", "v2", "v3", "v4"} {
		do(c.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String(v)}))
	}
	do(c.DeleteUser(ctx, &iam.DeleteUserInput{UserName: user}))
	do(c.DeleteGroup(ctx, &iam.DeleteGroupInput{GroupName: group}))
	do(c.RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: profile, RoleName: role}))
	do(c.DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: profile}))
	for _, a := range r.AttachedManagedPolicies {
		do(c.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: role, PolicyArn: a.PolicyArn}))
	}
	do(c.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: role, PolicyName: aws.String("more")}))
	do(c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: role}))
	do(c.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: arn}))
	after, err := cloud.Inventory()
	if err != nil {
		t.Fatal(err)
	}
	for kind, lines := range after {
		if strings.Contains(kind, "iam-") && len(lines) != len(before[kind]) {
			t.Errorf("%s is left: %v", kind, lines)
		}
	}
}

func TestIAMWithBoto3(t *testing.T) {
	t.Parallel()
	url := serve(t, newTestCloud(t, Options{}).Cloud)
	out := python(t, url, `
import json, boto3
from botocore.exceptions import ClientError
iam = boto3.client("iam")
trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
for i in range(5):
    iam.create_role(RoleName=f"r{i}", Path="/goldline/shop/", AssumeRolePolicyDocument=json.dumps(trust), Description="a <b>", Tags=[{"Key": "k", "Value": "v"}])
pages = list(iam.get_paginator("list_roles").paginate(PathPrefix="/goldline/", PaginationConfig={"PageSize": 2}))
print(len(pages), [r["RoleName"] for p in pages for r in p["Roles"]])
role = iam.get_role(RoleName="r0")["Role"]
print(role["Arn"], role["AssumeRolePolicyDocument"] == trust, role["Tags"], role["MaxSessionDuration"], role["Description"])
iam.create_user(UserName="ann"); iam.create_group(GroupName="ops"); iam.add_user_to_group(UserName="ann", GroupName="ops")
iam.put_group_policy(GroupName="ops", PolicyName="p", PolicyDocument=json.dumps({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}))
print(iam.get_group(GroupName="ops")["Users"][0]["UserName"], iam.list_group_policies(GroupName="ops")["PolicyNames"], iam.list_attached_user_policies(UserName="ann")["AttachedPolicies"])
iam.tag_role(RoleName="r0", Tags=[{"Key": "more", "Value": ""}]); iam.untag_role(RoleName="r0", TagKeys=["k"])
print(iam.list_role_tags(RoleName="r0")["Tags"])
for call in (lambda: iam.get_user(UserName="bob"), lambda: iam.create_user(UserName="Ann"), lambda: iam.delete_group(GroupName="ops")):
    try:
        call()
    except ClientError as e:
        print(e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"])
`)
	want := `3 ['r0', 'r1', 'r2', 'r3', 'r4']
arn:aws:iam::000000000000:role/goldline/shop/r0 True [{'Key': 'k', 'Value': 'v'}] 3600 a <b>
ann ['p'] []
[{'Key': 'more', 'Value': ''}]
NoSuchEntity 404
EntityAlreadyExists 409
DeleteConflict 409
`
	if out != want {
		t.Errorf("boto3 saw:\n%s\nnot:\n%s", out, want)
	}
}
