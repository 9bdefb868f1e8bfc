package launch

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/tags"
)

// seldom are kinds that most environments have nothing of, with the type that
// EC2 gives their resources in DescribeTags. One look at the tags tells which of
// them are worth a describe of their own, so that a kind more does not cost
// every launch a call more.
var seldom = map[string]string{
	"elastic_ip":        "elastic-ip",
	"network_interface": "network-interface",
	"nat_gateway":       "natgateway",
	"key_pair":          "key-pair",
	"launch_template":   "launch-template",
	"network_acl":       "network-acl",
	"snapshot":          "snapshot",
	"dhcp_options":      "dhcp-options",
	"vpc_endpoint":      "vpc-endpoint",
	"vpc_peering":       "vpc-peering-connection",
}

// unseen are the kinds of other services, where DescribeTags does not see them.
// A launch reads those of a service while the topology has any; an audit and a
// destruction always do.
var unseen = [][]string{{"iam_policy", "iam_group", "iam_user", "iam_role", "instance_profile"}, frontKinds, dnsKinds}

// present leaves out the seldom kinds that no definition is of and nothing in
// the environment is of. What a definition states is always looked for itself:
// its tags may not be visible yet.
func (w *world) present(ctx context.Context, all []kind) ([]kind, error) {
	defined := map[string]bool{}
	for _, r := range w.resources() {
		defined[r.Kind] = true
	}
	for _, service := range unseen {
		if !w.thorough && !slices.ContainsFunc(service, func(kind string) bool { return defined[kind] }) {
			all = slices.DeleteFunc(all, func(k kind) bool { return slices.Contains(service, k.definition().Name) })
		}
	}
	if !w.thorough && !defined["auto_scaling_group"] {
		return w.withGroups(ctx, all, defined)
	}
	return w.seldomPresent(ctx, all, defined)
}

// withGroups leaves out Auto Scaling groups, too, where the environment has no
// launch template that they could launch from.
func (w *world) withGroups(ctx context.Context, all []kind, defined map[string]bool) ([]kind, error) {
	left, err := w.seldomPresent(ctx, all, defined)
	templates := slices.ContainsFunc(left, func(k kind) bool { return k.definition().Name == "launch_template" })
	return slices.DeleteFunc(slices.Clone(left), func(k kind) bool { return !templates && k.definition().Name == "auto_scaling_group" }), err
}

// seldomPresent leaves out the seldom kinds of which there is nothing.
func (w *world) seldomPresent(ctx context.Context, all []kind, defined map[string]bool) ([]kind, error) {
	var types []string
	for _, k := range all {
		if t := seldom[k.definition().Name]; t != "" && !defined[k.definition().Name] {
			types = append(types, t)
		}
	}
	if len(types) < 2 {
		return all, nil // one describe is as good as the other
	}
	sort.Strings(types)
	tagged, err := w.tagged(ctx, types)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(all), func(k kind) bool {
		t := seldom[k.definition().Name]
		return slices.Contains(types, t) && !tagged[t]
	}), nil
}

// tagged says of which of the given types the environment has anything.
func (w *world) tagged(ctx context.Context, of []string) (map[string]bool, error) {
	found := map[string]bool{}
	pages := ec2.NewDescribeTagsPaginator(w.Cloud.EC2, &ec2.DescribeTagsInput{MaxResults: aws.Int32(pageSize), Filters: []types.Filter{
		cloud.Filter("key", tags.Environment), cloud.Filter("value", w.environment), cloud.Filter("resource-type", of...),
	}})
	err := each(ctx, pages, func(page *ec2.DescribeTagsOutput) {
		for _, t := range page.Tags {
			found[string(t.ResourceType)] = true
		}
	})
	if err != nil {
		return nil, fmt.Errorf("describe the tags of %s: %w", w.environment, err)
	}
	return found, nil
}
