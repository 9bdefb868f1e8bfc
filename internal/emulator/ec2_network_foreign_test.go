package emulator

import (
	"strings"
	"testing"
)

// TestNetworkWithTheAWSCommandLine reaches gateway endpoints, DHCP options and
// NAT gateways as others do.
func TestNetworkWithTheAWSCommandLine(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the AWS CLI eight times")
	}
	t.Parallel()
	url := serve(t, newTestCloud(t, Options{}).Cloud)
	values := map[string]string{}
	for _, step := range []struct {
		args string // $name is what an earlier step gave
		keep string
		want string // the whole answer or, with a leading ~, a part of it
	}{
		{args: "create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId", keep: "vpc", want: "~vpc-"},
		{args: "create-route-table --vpc-id $vpc --query RouteTable.RouteTableId", keep: "table", want: "~rtb-"},
		{args: "create-vpc-endpoint --vpc-id $vpc --service-name com.amazonaws.eu-central-1.s3 --route-table-ids $table --query VpcEndpoint.VpcEndpointId", keep: "endpoint", want: "~vpce-"},
		{args: "describe-route-tables --filters Name=route.gateway-id,Values=$endpoint --query RouteTables[0].RouteTableId", want: "~rtb-"},
		{args: "create-dhcp-options --dhcp-configurations Key=domain-name,Values=shop.example --query DhcpOptions.DhcpOptionsId", keep: "dhcp", want: "~dopt-"},
		{args: "describe-dhcp-options --filters Name=value,Values=shop.* --query DhcpOptions[0].DhcpOptionsId", want: "~dopt-"},
		{args: "delete-vpc-endpoints --vpc-endpoint-ids $endpoint vpce-0123456789abcdef0 --query Unsuccessful[].Error.Code", want: "InvalidVpcEndpoint.NotFound"},
		{args: "describe-nat-gateways --filter Name=state,Values=available --query length(NatGateways)", want: "0"},
	} {
		args := []string{"--output", "text", "ec2"}
		for _, word := range strings.Fields(step.args) {
			for name, value := range values {
				word = strings.ReplaceAll(word, "$"+name, value)
			}
			args = append(args, word)
		}
		out, errs, err := program(t, url, "", "aws", args...)
		out = strings.TrimSpace(out + errs)
		part, isPart := strings.CutPrefix(step.want, "~")
		if isPart && !strings.Contains(out, part) || !isPart && (out != step.want || err != nil) {
			t.Fatalf("aws %s: %s (%v)", strings.Join(args, " "), out, err)
		}
		if step.keep != "" {
			values[step.keep] = out
		}
	}
}
