package emulator

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// idKind is a kind of resource by the prefix of its IDs.
type idKind string

const (
	vpcID         idKind = "vpc"
	subnetID      idKind = "subnet"
	gatewayID     idKind = "igw"
	routeTableID  idKind = "rtb"
	aclID         idKind = "acl"
	groupID       idKind = "sg"
	ruleID        idKind = "sgr"
	keyPairID     idKind = "key"
	volumeID      idKind = "vol"
	snapshotID    idKind = "snap"
	imageID       idKind = "ami"
	instanceID    idKind = "i"
	interfaceID   idKind = "eni"
	addressID     idKind = "eipalloc"
	associationID idKind = "eipassoc"
	templateID    idKind = "lt"
	natID         idKind = "nat"
	peeringID     idKind = "pcx"
	endpointID    idKind = "vpce"
	dhcpID        idKind = "dopt"
	profileID     idKind = "iip-assoc"
	rootTaskID    idKind = "replacevol"
)

// idWords are the words that EC2 has for a kind of resource: its name in tag
// specifications, and the codes and text of its errors. EC2 isn't regular here.
type idWords struct {
	resource  string
	notFound  string
	malformed string
	text      string // %s is the ID
}

func (k idKind) words() idWords {
	words, ok := map[idKind]idWords{
		vpcID:         {"vpc", "InvalidVpcID.NotFound", "InvalidVpcID.Malformed", "The vpc ID '%s' does not exist"},
		subnetID:      {"subnet", "InvalidSubnetID.NotFound", "InvalidSubnetID.Malformed", "The subnet ID '%s' does not exist"},
		gatewayID:     {"internet-gateway", "InvalidInternetGatewayID.NotFound", "InvalidInternetGatewayID.Malformed", "The internetGateway ID '%s' does not exist"},
		routeTableID:  {"route-table", "InvalidRouteTableID.NotFound", "InvalidRouteTableID.Malformed", "The routeTable ID '%s' does not exist"},
		aclID:         {"network-acl", "InvalidNetworkAclID.NotFound", "InvalidNetworkAclID.Malformed", "The networkAcl ID '%s' does not exist"},
		groupID:       {"security-group", "InvalidGroup.NotFound", "InvalidGroupId.Malformed", "The security group '%s' does not exist"},
		ruleID:        {"security-group-rule", "InvalidSecurityGroupRuleId.NotFound", "InvalidSecurityGroupRuleId.Malformed", "The security group rule ID '%s' does not exist"},
		keyPairID:     {"key-pair", "InvalidKeyPair.NotFound", "InvalidKeyPairId.Malformed", "The key pair ID '%s' does not exist"},
		volumeID:      {"volume", "InvalidVolume.NotFound", "InvalidVolumeID.Malformed", "The volume '%s' does not exist."},
		snapshotID:    {"snapshot", "InvalidSnapshot.NotFound", "InvalidSnapshotID.Malformed", "The snapshot '%s' does not exist."},
		imageID:       {"image", "InvalidAMIID.NotFound", "InvalidAMIID.Malformed", "The image id '[%s]' does not exist"},
		instanceID:    {"instance", "InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed", "The instance ID '%s' does not exist"},
		interfaceID:   {"network-interface", "InvalidNetworkInterfaceID.NotFound", "InvalidNetworkInterfaceID.Malformed", "The networkInterface ID '%s' does not exist"},
		addressID:     {"elastic-ip", "InvalidAllocationID.NotFound", "InvalidAllocationID.Malformed", "The allocation ID '%s' does not exist"},
		templateID:    {"launch-template", "InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.Malformed", "The launch template ID '%s' does not exist"},
		natID:         {"natgateway", "NatGatewayNotFound", "NatGatewayMalformed", "NAT gateway %s was not found"},
		peeringID:     {"vpc-peering-connection", "InvalidVpcPeeringConnectionID.NotFound", "InvalidVpcPeeringConnectionId.Malformed", "The vpcPeeringConnection ID '%s' does not exist"},
		endpointID:    {"vpc-endpoint", "InvalidVpcEndpointId.NotFound", "InvalidVpcEndpointId.Malformed", "The Vpc Endpoint Id '%s' does not exist"},
		dhcpID:        {"dhcp-options", "InvalidDhcpOptionID.NotFound", "InvalidDhcpOptionsId.Malformed", "The dhcpOptions ID '%s' does not exist"},
		rootTaskID:    {"replace-root-volume-task", "InvalidReplaceRootVolumeTaskID.NotFound", "InvalidReplaceRootVolumeTaskID.Malformed", "The replaceRootVolumeTask ID '%s' does not exist"},
		profileID:     {"iam-instance-profile-association", "InvalidAssociationID.NotFound", "InvalidAssociationID.Malformed", "An invalid association-id of '%s' was given"},
		associationID: {"elastic-ip", "InvalidAssociationID.NotFound", "InvalidAssociationID.Malformed", "The association ID '%s' does not exist"},
	}[k]
	if !ok {
		return idWords{resource: string(k), notFound: "InvalidID", malformed: "InvalidID", text: "The ID '%s' is not valid"}
	}
	return words
}

// make is a new random ID of a kind.
func (k idKind) make() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return string(k) + "-0" + hex.EncodeToString(b[:])
}

// stable is an ID of a kind that is the same wherever it's made of the same
// parts: for what every world has from the start.
func (k idKind) stable(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return string(k) + "-0" + hex.EncodeToString(sum[:8])
}

// check refuses an ID that isn't of the kind's form: prefix, dash, 8 or 17
// digits, hexadecimal.
func (k idKind) check(id string) error {
	digits, ok := strings.CutPrefix(id, string(k)+"-")
	if ok && (len(digits) == 8 || len(digits) == 17) && strings.Trim(digits, "0123456789abcdef") == "" {
		return nil
	}
	return refuse(k.words().malformed, "Invalid id: \"%s\" (expecting \"%s-...\")", id, k)
}

// missing is the error for an ID of the right form that nothing has.
func (k idKind) missing(id string) error {
	words := k.words()
	return refuse(words.notFound, words.text, id)
}

// need returns the row with an ID, or the error that EC2 has for its absence.
func need[T any](t *table[T], w world, k idKind, id *string) (T, error) {
	var none T
	if id == nil || *id == "" {
		return none, refuse("MissingParameter", "The request must contain the ID of a %s", k.words().resource)
	}
	if err := k.check(*id); err != nil {
		return none, err
	}
	row, ok := t.get(w, *id)
	if !ok {
		return none, k.missing(*id)
	}
	return row, nil
}

// needAll returns the rows with the IDs, or every row if there are none.
func needAll[T any](s *ec2Service, t *table[T], w world, k idKind, ids []string) ([]T, error) {
	if len(ids) == 0 {
		return t.all(w), nil // choose leaves out what can't be seen yet
	}
	var rows []T
	seen := map[string]bool{}
	for _, id := range ids {
		row, err := need(t, w, k, &id)
		if err == nil && !s.seen(id) {
			err = k.missing(id)
		}
		if err != nil {
			return nil, err
		}
		if !seen[id] {
			rows = append(rows, row)
		}
		seen[id] = true
	}
	return rows, nil
}

// require refuses a call without a parameter that it can't do without.
func require(name string, value *string) error {
	if value == nil || *value == "" {
		return refuse("MissingParameter", "The request must contain the parameter %s", name)
	}
	return nil
}

// firstError is the first of some errors that is one.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
