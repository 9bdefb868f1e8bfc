package launch

import (
	"fmt"
	"strings"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
)

// Limits are what no plan can see coming: EC2 has no capacity to give just now,
// or the account may have no more of something. What was made until then stays,
// and the same command goes on from there once there is room.

// failure is the error of a step. One about a limit says where the resource is
// defined and what to do.
func (e *execution) failure(r graph.Result) error {
	address := e.address[r.Name]
	it := e.byAddress[address]
	advice := ""
	if it != nil {
		advice = roomFor(cloud.Code(r.Err), it, e.region)
	}
	if advice == "" {
		return fmt.Errorf("%s: %s: %w", e.title(), address, r.Err)
	}
	at := it.Pos.String()
	if at != "" {
		at = " (" + at + ")"
	}
	return fail.WithHint(fmt.Errorf("%s: %s%s: %w", e.title(), address, at, r.Err), "%s; then run the same command again", advice)
}

// roomFor says what to do when a limit is reached; "" for any other error.
// Quotas have the names that the Service Quotas console shows.
func roomFor(code string, it *item, region string) string {
	kind := "what was asked for"
	if s := runsOf(it.spec); s != nil && s.InstanceType != "" {
		kind = s.InstanceType
	}
	quota := func(what, name string) string {
		return fmt.Sprintf("the account may have no more %s in %s: remove some, or raise the quota %q", what, region, name)
	}
	switch code {
	case "InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientReservedInstanceCapacity", "InsufficientCapacity":
		return fmt.Sprintf("EC2 has no %s to give here now: try later, or give another instance_type or another zone", kind)
	case "VcpuLimitExceeded", "InstanceLimitExceeded":
		return quota("instances like "+kind, "Running On-Demand instances") + " of the type's family"
	case "AddressLimitExceeded":
		return quota("elastic IP addresses", "EC2-VPC Elastic IPs")
	case "VolumeLimitExceeded":
		return quota("volumes of this type", "Storage for volumes, in TiB") + " of the type"
	case "MaxIOPSLimitExceeded":
		return quota("provisioned IOPS", "IOPS for Provisioned IOPS SSD volumes")
	case "VpcLimitExceeded":
		return quota("VPCs", "VPCs per Region")
	case "InternetGatewayLimitExceeded":
		return quota("internet gateways", "Internet gateways per Region")
	case "NatGatewayLimitExceeded":
		return quota("NAT gateways", "NAT gateways per Availability Zone")
	case "InsufficientFreeAddressesInSubnet":
		return "the subnet has no free address: give a larger one, or remove what has its addresses"
	case "RequestLimitExceeded":
		return ""
	}
	if strings.HasSuffix(code, "LimitExceeded") {
		return fmt.Sprintf("a quota of the account in %s is used up: remove something, or raise it in Service Quotas", region)
	}
	return ""
}
