package launch

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/goldline-dev/goldline/internal/tags"
)

// repeatedFiles are copies of definitions in services that take no brackets in
// tags.
func repeatedFiles() map[string]string {
	const trust = "assume_role_policy:\n  Statement: {Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: sts:AssumeRole}\n"
	return map[string]string{
		"topology/vpcs/main.yaml":              "cidr_block: 10.0.0.0/16\nenable_dns_hostnames: true\n",
		"topology/iam_roles/web.yaml":          "count: 2\n" + trust,
		"topology/iam_roles/job.yaml":          "each: [nightly, weekly]\n" + trust,
		"topology/iam_policies/read.yaml":      "count: 1\ndocument: {Statement: {Effect: Allow, Action: \"s3:Get*\", Resource: \"*\"}}\n",
		"topology/iam_users/ann.yaml":          "count: 1\n",
		"topology/instance_profiles/web.yaml":  "count: 2\nrole: web[${index}]\n",
		"topology/target_groups/web.yaml":      "count: 2\nvpc: main\nport: 80\nprotocol: HTTP\n",
		"topology/zones/internal.yaml":         "each: [a, b]\ndomain: ${each.key}.example.internal\nvpcs: [main]\n",
		"topology/internet_gateways/main.yaml": "vpc: main\n",
	}
}

// TestTagsOfCopies: the addresses of copies are written so that IAM and the
// like take them, and are read as they were meant.
func TestTagsOfCopies(t *testing.T) {
	s := live(t, repeatedFiles(), []step{
		{"tags", func(s *site) {
			s.edit("topology/iam_roles/web.yaml", "count: 2", "count: 2\ntags: {owner: ops@example.com}")
		},
			[]string{"change iam_role.web[0]: tags", "change iam_role.web[1]: tags"}},
		{"fewer", func(s *site) { s.edit("topology/iam_roles/job.yaml", "[nightly, weekly]", "[weekly]") },
			[]string{"delete iam_role.shop-dev-job-nightly: no definition has it"}},
	})
	s.launch()
	role, err := s.cloud.IAM.GetRole(t.Context(), &iam.GetRoleInput{RoleName: aws.String("shop-dev-web-1")})
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	for _, tag := range role.Role.Tags {
		set[*tag.Key] = *tag.Value
	}
	if set[tags.Address] != "iam_role.web:1" || set[tags.Name] != "web-1" {
		t.Errorf("tags of the role: %v", set)
	}
}

// TestTagsOfEarlier: what carries brackets is found, and stays as it is.
func TestTagsOfEarlier(t *testing.T) {
	s := newSite(t, repeatedFiles())
	s.launch()
	zones, err := s.cloud.Route53.ListHostedZones(t.Context(), &route53.ListHostedZonesInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, z := range zones.HostedZones {
		copied := strings.TrimSuffix(aws.ToString(z.Name), ".example.internal.")
		_, err := s.cloud.Route53.ChangeTagsForResource(t.Context(), &route53.ChangeTagsForResourceInput{
			ResourceType: types.TagResourceTypeHostedzone, ResourceId: aws.String(strings.TrimPrefix(aws.ToString(z.Id), "/hostedzone/")),
			AddTags: []types.Tag{{Key: aws.String(tags.Address), Value: aws.String("zone.internal[" + copied + "]")}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.settled()
	s.destroy()
}

func TestTagMistakes(t *testing.T) {
	f := repeatedFiles()
	const role = "topology/iam_roles/job.yaml"
	mistaken(t, f, role, "each: [nightly, weekly]", "tags: {cost: \"a;b\"}", `job.yaml:1:14: IAM does not take the tag cost: "a;b" (it takes letters, digits, spaces and _ . : / = + - @)`)
	mistaken(t, f, role, "each: [nightly, weekly]", "tags: {name: web}", "the tags Name and name are one to IAM")
	mistaken(t, f, role, "each: [nightly, weekly]", "tags: {Cost: x, cost: y}", "the tags Cost and cost are one to IAM")
	mistaken(t, f, "topology/zones/internal.yaml", "vpcs", "tags: {cost: \"[1]\"}\nvpcs", "Route 53 does not take the tag cost")
	mistaken(t, f, "topology/vpcs/main.yaml", "cidr", "tags: {cost: \""+strings.Repeat("x", 257)+"\"}\ncidr", "the tag cost is 257 characters long: AWS takes 256")
	mistaken(t, f, "goldline.yaml", "ladder", "tags: {team: \"r&d\"}\nladder", `not every service takes the tag team: "r&d", and this one is put on everything`)
	mistaken(t, f, "environments/dev.yaml", "region", "tags: {team: \"[a]\"}\nregion", "not every service takes the tag team")
}
