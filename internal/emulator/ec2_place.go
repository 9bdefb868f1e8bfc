package emulator

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (s *ec2Service) addPlaces() {
	on(s, "DescribeRegions", "AllRegions RegionNames Filters.*", s.describeRegions)
	on(s, "DescribeAvailabilityZones", "AllAvailabilityZones ZoneNames ZoneIds Filters.*", s.describeZones)
	on(s, "DescribeAccountAttributes", "AttributeNames", s.describeAccountAttributes)
	on(s, "GetEbsEncryptionByDefault", "", func(apiCall, *ec2.GetEbsEncryptionByDefaultInput) (*ec2.GetEbsEncryptionByDefaultOutput, error) {
		return &ec2.GetEbsEncryptionByDefaultOutput{EbsEncryptionByDefault: new(false)}, nil
	})
	on(s, "GetEbsDefaultKmsKeyId", "", func(apiCall, *ec2.GetEbsDefaultKmsKeyIdInput) (*ec2.GetEbsDefaultKmsKeyIdOutput, error) {
		return &ec2.GetEbsDefaultKmsKeyIdOutput{KmsKeyId: new("alias/aws/ebs")}, nil
	})
}

// regions are the regions that an account has without asking, each with the
// short name that its zones' IDs begin with.
func regions() [][2]string {
	return [][2]string{
		{"ap-northeast-1", "apne1"}, {"ap-northeast-2", "apne2"}, {"ap-northeast-3", "apne3"},
		{"ap-south-1", "aps1"}, {"ap-southeast-1", "apse1"}, {"ap-southeast-2", "apse2"},
		{"ca-central-1", "cac1"}, {"eu-central-1", "euc1"}, {"eu-north-1", "eun1"},
		{"eu-west-1", "euw1"}, {"eu-west-2", "euw2"}, {"eu-west-3", "euw3"},
		{"sa-east-1", "sae1"}, {"us-east-1", "use1"}, {"us-east-2", "use2"},
		{"us-west-1", "usw1"}, {"us-west-2", "usw2"},
	}
}

// zone is an availability zone. Every region has three.
type zone struct{ Name, ID string }

func zones(region string) []zone {
	short := strings.ReplaceAll(region, "-", "")
	for _, r := range regions() {
		if r[0] == region {
			short = r[1]
		}
	}
	return []zone{
		{region + "a", short + "-az1"},
		{region + "b", short + "-az2"},
		{region + "c", short + "-az3"},
	}
}

// findZone is the zone that a call names or, if it names none, the first.
func findZone(region string, name, id *string) (zone, error) {
	all := zones(region)
	wanted, wantedID := deref(name), deref(id)
	for _, z := range all {
		if (wanted == "" || z.Name == wanted) && (wantedID == "" || z.ID == wantedID) {
			return z, nil
		}
	}
	names := make([]string, len(all))
	for i, z := range all {
		names[i] = z.Name
	}
	return zone{}, refuse("InvalidParameterValue", "Value (%s) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: %s.",
		wanted+wantedID, strings.Join(names, ", "))
}

func deref[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

func (s *ec2Service) describeRegions(c apiCall, in *ec2.DescribeRegionsInput) (*ec2.DescribeRegionsOutput, error) {
	var list []types.Region
	known := map[string]bool{}
	for _, r := range regions() {
		known[r[0]] = true
		list = append(list, types.Region{
			RegionName: new(r[0]), Endpoint: new("ec2." + r[0] + ".amazonaws.com"), OptInStatus: new("opt-in-not-required"),
		})
	}
	for _, name := range in.RegionNames {
		if !known[name] {
			return nil, refuse("InvalidParameterValue", "Invalid value '%s' for region-name.", name)
		}
	}
	if len(in.RegionNames) > 0 {
		list = keep(list, func(r types.Region) bool { return matchesAny(opt(r.RegionName), in.RegionNames) })
	}
	list, err := choose(s, c.w, list, nil, filters[types.Region]{
		"region-name":   func(r types.Region) []string { return opt(r.RegionName) },
		"endpoint":      func(r types.Region) []string { return opt(r.Endpoint) },
		"opt-in-status": func(r types.Region) []string { return opt(r.OptInStatus) },
	}, in.Filters)
	return &ec2.DescribeRegionsOutput{Regions: list}, err
}

func (s *ec2Service) describeZones(c apiCall, in *ec2.DescribeAvailabilityZonesInput) (*ec2.DescribeAvailabilityZonesOutput, error) {
	var list []types.AvailabilityZone
	names, ids := map[string]bool{}, map[string]bool{}
	for _, z := range zones(c.Region) {
		names[z.Name], ids[z.ID] = true, true
		list = append(list, types.AvailabilityZone{
			ZoneName: new(z.Name), ZoneId: new(z.ID), RegionName: new(c.Region), State: types.AvailabilityZoneStateAvailable,
			ZoneType: new("availability-zone"), GroupName: new(c.Region), NetworkBorderGroup: new(c.Region),
			OptInStatus: types.AvailabilityZoneOptInStatusOptInNotRequired,
		})
	}
	for _, name := range in.ZoneNames {
		if !names[name] {
			return nil, refuse("InvalidParameterValue", "Invalid availability zone: [%s]", name)
		}
	}
	for _, id := range in.ZoneIds {
		if !ids[id] {
			return nil, refuse("InvalidParameterValue", "Invalid availability zone-id: [%s]", id)
		}
	}
	list = keep(list, func(z types.AvailabilityZone) bool {
		return (len(in.ZoneNames) == 0 || matchesAny(opt(z.ZoneName), in.ZoneNames)) && (len(in.ZoneIds) == 0 || matchesAny(opt(z.ZoneId), in.ZoneIds))
	})
	list, err := choose(s, c.w, list, nil, filters[types.AvailabilityZone]{
		"zone-name":            func(z types.AvailabilityZone) []string { return opt(z.ZoneName) },
		"zone-id":              func(z types.AvailabilityZone) []string { return opt(z.ZoneId) },
		"zone-type":            func(z types.AvailabilityZone) []string { return opt(z.ZoneType) },
		"region-name":          func(z types.AvailabilityZone) []string { return opt(z.RegionName) },
		"group-name":           func(z types.AvailabilityZone) []string { return opt(z.GroupName) },
		"network-border-group": func(z types.AvailabilityZone) []string { return opt(z.NetworkBorderGroup) },
		"state":                func(z types.AvailabilityZone) []string { return one(z.State) },
		"opt-in-status":        func(z types.AvailabilityZone) []string { return one(z.OptInStatus) },
	}, in.Filters)
	return &ec2.DescribeAvailabilityZonesOutput{AvailabilityZones: list}, err
}

func (s *ec2Service) describeAccountAttributes(c apiCall, in *ec2.DescribeAccountAttributesInput) (*ec2.DescribeAccountAttributesOutput, error) {
	defaultVPC := "none"
	for _, row := range s.vpcs.all(c.w) {
		if deref(row.Vpc.IsDefault) {
			defaultVPC = *row.Vpc.VpcId
		}
	}
	values := [][2]string{
		{"default-vpc", defaultVPC}, {"max-elastic-ips", "5"}, {"max-instances", "20"},
		{"supported-platforms", "VPC"}, {"vpc-max-elastic-ips", "5"}, {"vpc-max-security-groups-per-interface", "5"},
	}
	out := &ec2.DescribeAccountAttributesOutput{}
	for _, v := range values {
		wanted := len(in.AttributeNames) == 0
		for _, name := range in.AttributeNames {
			wanted = wanted || string(name) == v[0]
		}
		if wanted {
			out.AccountAttributes = append(out.AccountAttributes, types.AccountAttribute{
				AttributeName: new(v[0]), AttributeValues: []types.AccountAttributeValue{{AttributeValue: new(v[1])}},
			})
		}
	}
	return out, nil
}
