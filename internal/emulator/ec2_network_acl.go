package emulator

import (
	"cmp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (s *ec2Service) addNetworkAcls() {
	entry := "NetworkAclId Egress RuleNumber Protocol RuleAction CidrBlock PortRange.* IcmpTypeCode.*"
	on(s, "CreateNetworkAcl", "VpcId ClientToken TagSpecifications.*", s.createNetworkAcl)
	on(s, "DeleteNetworkAcl", "NetworkAclId", s.deleteNetworkAcl)
	on(s, "CreateNetworkAclEntry", entry, s.createNetworkAclEntry)
	on(s, "ReplaceNetworkAclEntry", entry, s.replaceNetworkAclEntry)
	on(s, "DeleteNetworkAclEntry", "NetworkAclId Egress RuleNumber", s.deleteNetworkAclEntry)
	on(s, "ReplaceNetworkAclAssociation", "AssociationId NetworkAclId", s.replaceNetworkAclAssociation)
}

// aclOf is the network ACL of a subnet with the ID of its association: the
// VPC's default one until it is given another.
func (s *ec2Service) aclOf(w world, row subnetRow) (acl, association string) {
	if row.Acl != "" {
		return row.Acl, row.AclAssociation
	}
	for _, a := range s.acls.all(w) {
		if deref(a.Acl.IsDefault) && *a.Acl.VpcId == *row.Subnet.VpcId {
			acl = *a.Acl.NetworkAclId
		}
	}
	return acl, idKind("aclassoc").stable(*row.Subnet.SubnetId)
}

func (s *ec2Service) showNetworkAcl(w world, row aclRow) types.NetworkAcl {
	acl := row.Acl
	for _, subnet := range s.subnets.all(w) {
		if id, association := s.aclOf(w, subnet); id == *acl.NetworkAclId {
			acl.Associations = append(acl.Associations, types.NetworkAclAssociation{
				NetworkAclAssociationId: new(association), NetworkAclId: acl.NetworkAclId, SubnetId: subnet.Subnet.SubnetId,
			})
		}
	}
	acl.Tags = s.tagList(w, *acl.NetworkAclId)
	return acl
}

func (s *ec2Service) createNetworkAcl(c apiCall, in *ec2.CreateNetworkAclInput) (*ec2.CreateNetworkAclOutput, error) {
	made, done, err := s.replayed(c, "CreateNetworkAcl", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	if done {
		row, err := need(s.acls, c.w, aclID, &made[0])
		if err != nil {
			return nil, err
		}
		return &ec2.CreateNetworkAclOutput{NetworkAcl: new(s.showNetworkAcl(c.w, row)), ClientToken: in.ClientToken}, nil
	}
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeNetworkAcl)
	if err != nil {
		return nil, err
	}
	vpc, err := need(s.vpcs, c.w, vpcID, in.VpcId)
	if err != nil {
		return nil, err
	}
	id := aclID.make()
	row := aclRow{types.NetworkAcl{NetworkAclId: new(id), VpcId: vpc.Vpc.VpcId, OwnerId: new(c.Account), IsDefault: new(false)}}
	for _, e := range openEntries() {
		if e.RuleAction == types.RuleActionDeny { // the last of each side, which stays
			row.Acl.Entries = append(row.Acl.Entries, e)
		}
	}
	s.acls.put(c.w, id, row)
	s.remember(c, "CreateNetworkAcl", in.ClientToken, in, id)
	if err := s.born(c, aclID, id, tags); err != nil {
		return nil, err
	}
	return &ec2.CreateNetworkAclOutput{NetworkAcl: new(s.showNetworkAcl(c.w, row)), ClientToken: in.ClientToken}, nil
}

func (s *ec2Service) deleteNetworkAcl(c apiCall, in *ec2.DeleteNetworkAclInput) (*ec2.DeleteNetworkAclOutput, error) {
	row, err := need(s.acls, c.w, aclID, in.NetworkAclId)
	if err != nil {
		return nil, err
	}
	id := *row.Acl.NetworkAclId
	if deref(row.Acl.IsDefault) {
		return nil, refuse("InvalidParameterValue", "cannot delete default network ACL %s", id)
	}
	if len(s.showNetworkAcl(c.w, row).Associations) > 0 {
		return nil, refuse("DependencyViolation", "The networkAcl '%s' has dependencies and cannot be deleted.", id)
	}
	s.acls.remove(c.w, id)
	s.gone(c.w, id)
	return &ec2.DeleteNetworkAclOutput{}, nil
}

// entryAt finds an ACL and the index of its entry of a number, -1 for none.
func (s *ec2Service) entryAt(c apiCall, id *string, egress *bool, number *int32) (aclRow, int, error) {
	row, err := need(s.acls, c.w, aclID, id)
	if err == nil && (deref(number) < 1 || deref(number) > 32766) {
		err = refuse("InvalidParameterValue", "Value (%d) for parameter ruleNumber is invalid. It must be between 1 and 32766", deref(number))
	}
	return row, slices.IndexFunc(row.Acl.Entries, func(e types.NetworkAclEntry) bool {
		return *e.Egress == deref(egress) && *e.RuleNumber == deref(number)
	}), err
}

// putEntry keeps an entry in the place of another, or of none.
func (s *ec2Service) putEntry(c apiCall, row aclRow, at int, e types.NetworkAclEntry) error {
	block, err := readBlock(e.CidrBlock, "cidrBlock")
	if err != nil {
		return err
	}
	e.CidrBlock, e.Egress = new(block.String()), new(deref(e.Egress))
	if p := deref(e.Protocol); (p == "6" || p == "17") && e.PortRange == nil {
		return refuse("MissingParameter", "The request must contain the parameter portRange for protocol %s", p)
	}
	if deref(e.Protocol) == "1" && e.IcmpTypeCode == nil {
		return refuse("MissingParameter", "The request must contain the parameter icmpTypeCode for protocol 1")
	}
	row.Acl.Entries = copied(row.Acl.Entries)
	if at >= 0 {
		row.Acl.Entries[at] = e
	} else {
		row.Acl.Entries = append(row.Acl.Entries, e)
	}
	slices.SortFunc(row.Acl.Entries, func(a, b types.NetworkAclEntry) int { return cmp.Compare(*a.RuleNumber, *b.RuleNumber) })
	s.acls.put(c.w, *row.Acl.NetworkAclId, row)
	return nil
}

func (s *ec2Service) createNetworkAclEntry(c apiCall, in *ec2.CreateNetworkAclEntryInput) (*ec2.CreateNetworkAclEntryOutput, error) {
	row, at, err := s.entryAt(c, in.NetworkAclId, in.Egress, in.RuleNumber)
	if err == nil && at >= 0 {
		err = refuse("NetworkAclEntryAlreadyExists", "The network acl entry identified by %d already exists.", *in.RuleNumber)
	}
	if err != nil {
		return nil, err
	}
	return &ec2.CreateNetworkAclEntryOutput{}, s.putEntry(c, row, -1, types.NetworkAclEntry{
		Egress: in.Egress, RuleNumber: in.RuleNumber, Protocol: in.Protocol, RuleAction: in.RuleAction, CidrBlock: in.CidrBlock, PortRange: in.PortRange, IcmpTypeCode: in.IcmpTypeCode,
	})
}

func (s *ec2Service) replaceNetworkAclEntry(c apiCall, in *ec2.ReplaceNetworkAclEntryInput) (*ec2.ReplaceNetworkAclEntryOutput, error) {
	row, at, err := s.entryAt(c, in.NetworkAclId, in.Egress, in.RuleNumber)
	if err == nil && at < 0 {
		err = refuse("InvalidNetworkAclEntry.NotFound", "The network acl entry identified by %d does not exist", *in.RuleNumber)
	}
	if err != nil {
		return nil, err
	}
	return &ec2.ReplaceNetworkAclEntryOutput{}, s.putEntry(c, row, at, types.NetworkAclEntry{
		Egress: in.Egress, RuleNumber: in.RuleNumber, Protocol: in.Protocol, RuleAction: in.RuleAction, CidrBlock: in.CidrBlock, PortRange: in.PortRange, IcmpTypeCode: in.IcmpTypeCode,
	})
}

func (s *ec2Service) deleteNetworkAclEntry(c apiCall, in *ec2.DeleteNetworkAclEntryInput) (*ec2.DeleteNetworkAclEntryOutput, error) {
	row, at, err := s.entryAt(c, in.NetworkAclId, in.Egress, in.RuleNumber)
	if err == nil && at < 0 {
		err = refuse("InvalidNetworkAclEntry.NotFound", "The network acl entry identified by %d does not exist", *in.RuleNumber)
	}
	if err != nil {
		return nil, err
	}
	row.Acl.Entries = append(copied(row.Acl.Entries[:at]), row.Acl.Entries[at+1:]...)
	s.acls.put(c.w, *row.Acl.NetworkAclId, row)
	return &ec2.DeleteNetworkAclEntryOutput{}, nil
}

func (s *ec2Service) replaceNetworkAclAssociation(c apiCall, in *ec2.ReplaceNetworkAclAssociationInput) (*ec2.ReplaceNetworkAclAssociationOutput, error) {
	acl, err := need(s.acls, c.w, aclID, in.NetworkAclId)
	if err != nil {
		return nil, err
	}
	for _, row := range s.subnets.all(c.w) {
		if _, association := s.aclOf(c.w, row); association != deref(in.AssociationId) {
			continue
		}
		if *row.Subnet.VpcId != *acl.Acl.VpcId {
			return nil, refuse("InvalidParameterValue", "network ACL %s and subnet %s belong to different networks", *in.NetworkAclId, *row.Subnet.SubnetId)
		}
		row.Acl, row.AclAssociation = *in.NetworkAclId, idKind("aclassoc").make()
		s.subnets.put(c.w, *row.Subnet.SubnetId, row)
		return &ec2.ReplaceNetworkAclAssociationOutput{NewAssociationId: new(row.AclAssociation)}, nil
	}
	return nil, refuse("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", deref(in.AssociationId))
}
