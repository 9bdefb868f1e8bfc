package launch

import (
	"strings"
	"testing"
)

func iamFiles() map[string]string {
	return map[string]string{
		"topology/iam_policies/orders.yaml": "kind: iam_policy\ndocument:\n  Statement:\n    - {Effect: Allow, Action: [\"s3:Get*\", \"s3:List*\"], Resource: \"arn:aws:s3:::orders/${aws:username}\"}\n",
		"topology/iam_roles/web.yaml": "kind: iam_role\npath: web/\ndescription: the web servers\nassume_role_policy:\n  Statement: {Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: sts:AssumeRole}\n" +
			"managed_policy_arns: [arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore]\npolicies: [orders]\ninline_policies:\n  logs:\n    Statement: [{Effect: Allow, Action: logs:PutLogEvents, Resource: \"*\"}]\n",
		"topology/instance_profiles/web.yaml": "kind: instance_profile\nrole: web\n",
	}
}

func TestIAM(t *testing.T) {
	const (
		roleFile   = "topology/iam_roles/web.yaml"
		policyFile = "topology/iam_policies/orders.yaml"
	)
	versions := step{"the policy once more", func(s *site) { s.edit(policyFile, "\"s3:Get*\"", "\"s3:Get*\", \"s3:Head*\"") }, []string{"change iam_policy.orders: document"}}
	back := step{"and back", func(s *site) { s.edit(policyFile, ", \"s3:Head*\"", "") }, []string{"change iam_policy.orders: document"}}
	live(t, iamFiles(), []step{
		{"the same in other words", func(s *site) {
			s.edit(policyFile, "[\"s3:Get*\", \"s3:List*\"]", "[\"s3:List*\", \"s3:Get*\"]")
			s.edit(roleFile, "Action: sts:AssumeRole", "Action: [sts:AssumeRole]")
		}, nil},
		{"in place", func(s *site) {
			s.edit(roleFile, "the web servers", "web servers")
			s.edit(roleFile, "policies: [orders]\n", "")
			s.edit(roleFile, "  logs:", "  logging:")
			s.edit(roleFile, "Service: ec2.amazonaws.com", "Service: [ec2.amazonaws.com, ssm.amazonaws.com]")
		}, []string{"change iam_role.web: assume_role_policy; description; policies; inline_policies.logging; inline_policies.logs"}},
		versions, back, versions, back, versions, back,
		{"tags", func(s *site) { s.edit(roleFile, "path: web/", "path: web/\ntags: {cost: \"7\"}") }, []string{"change iam_role.web: tags"}},
		{"path", func(s *site) { s.edit(roleFile, "path: web/", "path: front/") },
			[]string{"replace iam_role.web: path: /goldline/shop/dev/web/ -> /goldline/shop/dev/front/", "change instance_profile.web: role"}},
		{"name", func(s *site) {
			s.edit("topology/instance_profiles/web.yaml", "role: web", "instance_profile_name: web\nrole: web")
		},
			[]string{"create instance_profile.web", "delete instance_profile.shop-dev-web: no definition has it"}},
		{"name of a role", func(s *site) { s.edit(roleFile, "path: front/", "path: front/\nrole_name: front") },
			[]string{"create iam_role.web", "change instance_profile.web: role", "delete iam_role.shop-dev-web: no definition has it"}},
		{"description of a policy", func(s *site) { s.edit(policyFile, "kind: iam_policy", "kind: iam_policy\ndescription: Orders") },
			[]string{"replace iam_policy.orders: description: nothing -> Orders"}},
		{"fewer", func(s *site) { s.write(map[string]string{"topology/instance_profiles/web.yaml": "", roleFile: ""}) },
			[]string{"delete instance_profile.web: no definition has it", "delete iam_role.front: no definition has it"}},
	})
}

// TestIAMCalls: a plan reads everything in three calls, however much there is.
func TestIAMCalls(t *testing.T) {
	s := newSite(t, iamFiles())
	s.launch()
	s.local.ResetCalls()
	s.settled()
	var calls []string
	for _, c := range s.local.Calls() {
		if c.Service == "iam" {
			calls = append(calls, c.Action)
		}
	}
	if len(calls) != 3 {
		t.Errorf("calls of IAM: %v", calls)
	}
}

func TestIAMEveryCallFailsOnce(t *testing.T) {
	t.Parallel()
	disturb(t, iamFiles(), func(s *site) {
		s.edit("topology/iam_roles/web.yaml", "path: web/", "path: front/")
		s.edit("topology/iam_policies/orders.yaml", "\"s3:Get*\"", "\"s3:Head*\"")
	}, 4)
}

// TestIAMRefused: what only the plan can tell is refused by it.
func TestIAMRefused(t *testing.T) {
	s := newSite(t, iamFiles())
	s.edit("topology/iam_roles/web.yaml", "kind: iam_role", "kind: iam_role\nrole_name: "+strings.Repeat("x", 65))
	if _, err := s.tryLaunch(t.Context()); err == nil || !strings.Contains(err.Error(), "is 65 characters long: IAM takes 64") {
		t.Errorf("error %v", err)
	}
}

func TestIAMMistakes(t *testing.T) {
	const role, policy = "topology/iam_roles/web.yaml", "topology/iam_policies/orders.yaml"
	f := iamFiles()
	mistaken(t, f, role, "Principal: {Service: ec2.amazonaws.com}, ", "", "web.yaml:5:14: a statement of trust needs a Principal")
	mistaken(t, f, role, "Effect: Allow, Principal", "Effect: Perhaps, Principal", "a statement's Effect is Allow or Deny")
	mistaken(t, f, role, "Action: sts", "Acton: sts", `unknown key "Acton" in a statement`, "a statement needs an Action")
	mistaken(t, f, role, "arn:aws:iam::aws:policy/Amazon", "Amazon", "is no ARN of a policy")
	mistaken(t, f, role, "policies: [orders]", "policies: [order]", "no resource iam_policy.order (did you mean \"orders\"?)")
	mistaken(t, f, role, "path: web/", "role_name: a b\npath: web/", `"a b" is no name in IAM`)
	mistaken(t, f, policy, ", Resource: \"arn:aws:s3:::orders/${aws:username}\"", "", "a statement needs a Resource")
	mistaken(t, f, policy, "Statement:", "Version: \"2026-01-01\"\n  Statement:", "IAM takes no version 2026-01-01")
}
