package emulator

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

type dhcpRow struct{ Options types.DhcpOptions }

func (r dhcpRow) id() string { return *r.Options.DhcpOptionsId }

func (s *ec2Service) addDHCP() {
	on(s, "CreateDhcpOptions", "DhcpConfigurations.* TagSpecifications.*", s.createDhcpOptions)
	on(s, "DescribeDhcpOptions", "DhcpOptionsIds Filters.* MaxResults NextToken", s.describeDhcpOptions)
	on(s, "AssociateDhcpOptions", "DhcpOptionsId VpcId", s.associateDhcpOptions)
	on(s, "DeleteDhcpOptions", "DhcpOptionsId", s.deleteDhcpOptions)
}

// defaultDHCP is the set that every region has and no account made.
func defaultDHCP(w world) dhcpRow {
	name := w.Region + ".compute.internal"
	if w.Region == "us-east-1" {
		name = "ec2.internal"
	}
	return dhcpRow{types.DhcpOptions{DhcpOptionsId: new(dhcpID.stable(w.String())), OwnerId: new(w.Account), DhcpConfigurations: []types.DhcpConfiguration{
		{Key: new("domain-name"), Values: []types.AttributeValue{{Value: new(name)}}},
		{Key: new("domain-name-servers"), Values: []types.AttributeValue{{Value: new("AmazonProvidedDNS")}}},
	}}}
}

func (s *ec2Service) createDhcpOptions(c apiCall, in *ec2.CreateDhcpOptionsInput) (*ec2.CreateDhcpOptionsOutput, error) {
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeDhcpOptions)
	if err != nil {
		return nil, err
	}
	if len(in.DhcpConfigurations) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter DhcpConfiguration")
	}
	row := dhcpRow{types.DhcpOptions{DhcpOptionsId: new(dhcpID.make()), OwnerId: new(c.Account)}}
	for _, one := range in.DhcpConfigurations {
		most, known := map[string]int{"domain-name": 1, "domain-name-servers": 4, "ntp-servers": 4, "netbios-name-servers": 4, "netbios-node-type": 1, "ipv6-address-preferred-lease-time": 1}[deref(one.Key)]
		if !known || len(one.Values) == 0 || len(one.Values) > most {
			return nil, refuse("InvalidParameterValue", "Value (%v) for parameter %s is invalid.", one.Values, deref(one.Key))
		}
		config := types.DhcpConfiguration{Key: one.Key}
		for _, v := range one.Values {
			config.Values = append(config.Values, types.AttributeValue{Value: new(v)})
		}
		row.Options.DhcpConfigurations = append(row.Options.DhcpConfigurations, config)
	}
	s.dhcp.put(c.w, row.id(), row)
	if err := s.born(c, dhcpID, row.id(), tags); err != nil {
		return nil, err
	}
	return &ec2.CreateDhcpOptionsOutput{DhcpOptions: new(s.showDhcpOptions(c.w, row))}, nil
}

func (s *ec2Service) showDhcpOptions(w world, row dhcpRow) types.DhcpOptions {
	o := row.Options
	o.Tags = s.tagList(w, row.id())
	return o
}

// dhcpBy finds a set of options, among them the region's own.
func (s *ec2Service) dhcpBy(w world, id *string) (dhcpRow, error) {
	if own := defaultDHCP(w); deref(id) == own.id() {
		return own, nil
	}
	return need(s.dhcp, w, dhcpID, id)
}

func (s *ec2Service) describeDhcpOptions(c apiCall, in *ec2.DescribeDhcpOptionsInput) (*ec2.DescribeDhcpOptionsOutput, error) {
	if err := noPagesOfIDs(in.DhcpOptionsIds, "dhcpOptionsIds", in.MaxResults); err != nil {
		return nil, err
	}
	rows := append(s.dhcp.all(c.w), defaultDHCP(c.w))
	if len(in.DhcpOptionsIds) > 0 {
		rows = nil
	}
	for _, id := range in.DhcpOptionsIds {
		row, err := s.dhcpBy(c.w, &id)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b dhcpRow) int {
		if a.id() < b.id() {
			return -1
		}
		return 1
	})
	rows, err := choose(s, c.w, rows, dhcpRow.id, filters[dhcpRow]{
		"dhcp-options-id": func(r dhcpRow) []string { return one(r.id()) },
		"owner-id":        func(r dhcpRow) []string { return opt(r.Options.OwnerId) },
		"key": func(r dhcpRow) (all []string) {
			for _, c := range r.Options.DhcpConfigurations {
				all = append(all, deref(c.Key))
			}
			return all
		},
		"value": func(r dhcpRow) (all []string) {
			for _, c := range r.Options.DhcpConfigurations {
				for _, v := range c.Values {
					all = append(all, deref(v.Value))
				}
			}
			return all
		},
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, dhcpRow.id, paging{in.MaxResults, in.NextToken, 5, 1000})
	out := &ec2.DescribeDhcpOptionsOutput{NextToken: next}
	for _, row := range rows {
		out.DhcpOptions = append(out.DhcpOptions, s.showDhcpOptions(c.w, row))
	}
	return out, err
}

func (s *ec2Service) associateDhcpOptions(c apiCall, in *ec2.AssociateDhcpOptionsInput) (*ec2.AssociateDhcpOptionsOutput, error) {
	vpc, err := need(s.vpcs, c.w, vpcID, in.VpcId)
	if err != nil {
		return nil, err
	}
	id := in.DhcpOptionsId
	if deref(id) != "default" {
		if _, err := s.dhcpBy(c.w, id); err != nil {
			return nil, err
		}
	}
	vpc.Vpc.DhcpOptionsId = id
	s.vpcs.put(c.w, *vpc.Vpc.VpcId, vpc)
	return &ec2.AssociateDhcpOptionsOutput{}, nil
}

func (s *ec2Service) deleteDhcpOptions(c apiCall, in *ec2.DeleteDhcpOptionsInput) (*ec2.DeleteDhcpOptionsOutput, error) {
	row, err := need(s.dhcp, c.w, dhcpID, in.DhcpOptionsId)
	if err != nil {
		return nil, err
	}
	for _, vpc := range s.vpcs.all(c.w) {
		if deref(vpc.Vpc.DhcpOptionsId) == row.id() {
			return nil, refuse("DependencyViolation", "The dhcpOptions '%s' has dependencies and cannot be deleted.", row.id())
		}
	}
	s.dhcp.remove(c.w, row.id())
	s.gone(c.w, row.id())
	return &ec2.DeleteDhcpOptionsOutput{}, nil
}
