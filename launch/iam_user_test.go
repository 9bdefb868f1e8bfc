package launch

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

func userFiles() map[string]string {
	return map[string]string{
		"topology/iam_policies/limits.yaml": "kind: iam_policy\ndocument: {Statement: {Effect: Allow, Action: \"s3:*\", Resource: \"*\"}}\n",
		"topology/iam_policies/read.yaml":   "kind: iam_policy\ndocument: {Statement: {Effect: Allow, Action: \"s3:Get*\", Resource: \"*\"}}\n",
		"topology/iam_groups/ops.yaml":      "name: ops\nkind: iam_group\npolicies: [read]\n---\nname: dev\nkind: iam_group\ninline_policies: {list: {Statement: {Effect: Allow, Action: \"s3:List*\", Resource: \"*\"}}}\n",
		"topology/iam_users/deploy.yaml":    "kind: iam_user\npath: robots/\ngroups: [ops]\npermissions_boundary: limits\nmanaged_policy_arns: [arn:aws:iam::aws:policy/ReadOnlyAccess]\n",
	}
}

const userFile, teamFile = "topology/iam_users/deploy.yaml", "topology/iam_groups/ops.yaml"

func TestIAMUsers(t *testing.T) {
	live(t, userFiles(), []step{
		{"groups", func(s *site) { s.edit(userFile, "groups: [ops]", "groups: [dev]") }, []string{"change iam_user.deploy: groups"}},
		{"boundary", func(s *site) {
			s.edit(userFile, "boundary: limits", "boundary: arn:aws:iam::aws:policy/PowerUserAccess")
		},
			[]string{"change iam_user.deploy: permissions_boundary"}},
		{"no boundary", func(s *site) {
			s.edit(userFile, "permissions_boundary: arn:aws:iam::aws:policy/PowerUserAccess\n", "inline_policies: {own: {Statement: {Effect: Deny, Action: \"iam:*\", Resource: \"*\"}}}\n")
		}, []string{"change iam_user.deploy: permissions_boundary; inline_policies.own"}},
		{"paths, which do not cost the keys", func(s *site) {
			s.edit(userFile, "path: robots/", "path: machines/\ntags: {cost: \"7\"}")
			s.edit(teamFile, "kind: iam_group\npolicies", "kind: iam_group\npath: teams/\npolicies")
			s.edit(userFile, "groups: [dev]", "groups: [dev, ops]")
		}, []string{"change iam_group.ops: path", "change iam_user.deploy: path; groups; tags"}},
		{"name", func(s *site) { s.edit(userFile, "kind: iam_user", "kind: iam_user\nuser_name: deployer") },
			[]string{"create iam_user.deploy", "delete iam_user.shop-dev-deploy: no definition has it"}},
		{"a role within bounds", func(s *site) {
			s.write(map[string]string{"topology/iam_roles/web.yaml": "kind: iam_role\npermissions_boundary: limits\nassume_role_policy:\n  Statement: {Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: sts:AssumeRole}\n"})
		}, []string{"create iam_role.web"}},
		{"no bounds", func(s *site) { s.edit("topology/iam_roles/web.yaml", "permissions_boundary: limits\n", "") }, []string{"change iam_role.web: permissions_boundary"}},
		{"no group", func(s *site) {
			s.edit(userFile, "groups: [dev, ops]\n", "")
			s.write(map[string]string{teamFile: ""})
		}, []string{"change iam_user.deploy: groups", "delete iam_group.shop-dev-dev: no definition has it", "delete iam_group.shop-dev-ops: no definition has it"}},
	})
}

// TestIAMKeys: what others made and nobody can make again is not lost, neither
// to a launch nor to a destruction; nothing is touched when there is some.
func TestIAMKeys(t *testing.T) {
	s := newSite(t, userFiles())
	s.launch()
	ctx, api := t.Context(), s.cloud.IAM
	user, group := aws.String("shop-dev-deploy"), aws.String("shop-dev-ops")
	key, err := api.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: user})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.CreateLoginProfile(ctx, &iam.CreateLoginProfileInput{UserName: user, Password: aws.String("correct horse")}); err != nil {
		t.Fatal(err)
	}
	ann := aws.String("ann")
	if _, err := api.CreateUser(ctx, &iam.CreateUserInput{UserName: ann}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.AddUserToGroup(ctx, &iam.AddUserToGroupInput{UserName: ann, GroupName: group}); err != nil {
		t.Fatal(err)
	}
	s.settled() // whom others add is theirs
	id := *key.AccessKey.AccessKeyId
	want := []string{"iam_user.deploy", "access key " + id, "a password for the console", "iam_group.ops", "user/ann", "--user-name shop-dev-deploy --access-key-id " + id}
	refused := func(what string, err error) {
		t.Helper()
		if exitCode(err) != 2 {
			t.Fatalf("%s: exit code %d: %v", what, exitCode(err), err)
		}
		for _, w := range want[:5] {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v\nwants %q", what, err, w)
			}
		}
	}
	before := s.inventory()
	refused("destroy", s.tryDestroy(ctx))
	s.write(map[string]string{userFile: "", teamFile: ""})
	want[0], want[3] = "iam_user.shop-dev-deploy", "iam_group.shop-dev-ops"
	_, err = s.tryLaunch(ctx)
	refused("launch", err)
	sameInventory(t, "refused", before, s.inventory())

	for _, call := range []func() error{
		func() error {
			_, err := api.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: user, AccessKeyId: &id})
			return err
		},
		func() error {
			_, err := api.DeleteLoginProfile(ctx, &iam.DeleteLoginProfileInput{UserName: user})
			return err
		},
		func() error {
			_, err := api.RemoveUserFromGroup(ctx, &iam.RemoveUserFromGroupInput{UserName: ann, GroupName: group})
			return err
		},
	} {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	s.destroy()
}

func TestIAMUserAdopted(t *testing.T) {
	s := newSite(t, map[string]string{
		"topology/iam_users/ann.yaml":  "kind: iam_user\nadopt: {name: ann}\ngroups: [ops]\n",
		"topology/iam_groups/ops.yaml": "kind: iam_group\nadopt: {name: operators}\n",
	})
	ctx, api := t.Context(), s.cloud.IAM
	for _, call := range []func() error{
		func() error {
			_, err := api.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("ann")})
			return err
		},
		func() error {
			_, err := api.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: aws.String("ann"), PolicyArn: aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")})
			return err
		},
		func() error {
			_, err := api.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: aws.String("operators"), Path: aws.String("/people/")})
			return err
		},
	} {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	if got := summaryOf(s.plan()); got != "change iam_user.ann: groups" {
		t.Errorf("the plan is %q", got)
	}
	s.launch()
	s.settled()
	after := s.inventory()
	details, err := api.ListAttachedUserPolicies(ctx, &iam.ListAttachedUserPoliciesInput{UserName: aws.String("ann")})
	if err != nil || len(details.AttachedPolicies) != 1 {
		t.Errorf("what the definition does not state is gone: %v, %v", details, err)
	}
	s.destroy()
	sameInventory(t, "what is adopted stays", after, s.inventory())
}

func TestIAMUsersEveryCallFailsOnce(t *testing.T) {
	t.Parallel()
	disturb(t, userFiles(), func(s *site) {
		s.edit(userFile, "groups: [ops]", "groups: [dev]")
		s.edit(userFile, "path: robots/", "path: machines/")
		s.edit(userFile, "permissions_boundary: limits\n", "")
	}, 13)
}

func TestIAMUserMistakes(t *testing.T) {
	f := userFiles()
	mistaken(t, f, userFile, "groups: [ops]", "groups: [op]", `no resource iam_group.op (did you mean "ops"?)`)
	mistaken(t, f, userFile, "boundary: limits", "boundary: arn:aws:iam::aws:role/x", "deploy.yaml:4:23: \"arn:aws:iam::aws:role/x\" is no ARN of a policy")
	mistaken(t, f, userFile, "groups: [ops]", "groups: [\"arn:aws:iam::000000000000:user/x\"]", "is no ARN of a group")
	mistaken(t, f, userFile, "path: robots/", "user_name: a b", `"a b" is no name in IAM`)
	mistaken(t, f, teamFile, "policies: [read]", "tags: {a: b}", "IAM has no tags for groups")
}
