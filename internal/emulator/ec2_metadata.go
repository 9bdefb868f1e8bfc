package emulator

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// metadata answers an instance's own questions to its metadata service: the
// value at a path below /latest/meta-data/, or the names below it, a line each,
// where folders end with a slash.
//
// One value differs from EC2's: local-ipv4 is the loopback address that the
// machine has to itself, so that services which listen on "their" address can.
// The API gives the private address of the subnet, and connections to either
// lead to the machine.
func (s *ec2Service) metadata(w world, id, path string) (value string, ok bool) {
	err := s.cloud.store.transact(func() error {
		row, found := s.instances.get(w, id)
		if !found || row.Metadata.HttpEndpoint == types.InstanceMetadataEndpointStateDisabled {
			return nil
		}
		value, ok = lookUp(s.metadataTree(w, row), strings.Trim(path, "/"))
		return nil
	})
	return value, ok && err == nil
}

// lookUp finds a value in a tree that is kept as paths.
func lookUp(tree map[string]string, path string) (string, bool) {
	if value, ok := tree[path]; ok {
		return value, true
	}
	var names []string
	prefix := path + "/"
	if path == "" {
		prefix = ""
	}
	for _, name := range sortedKeys(tree) {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok || strings.HasPrefix(rest, "dynamic/") && path == "" {
			continue
		}
		head, _, folder := strings.Cut(rest, "/")
		if folder {
			head += "/"
		}
		if len(names) == 0 || names[len(names)-1] != head {
			names = append(names, head)
		}
	}
	return strings.Join(names, "\n"), len(names) > 0
}

func (s *ec2Service) metadataTree(w world, row instanceRow) map[string]string {
	name := privateName(w.Region, row.Private)
	var groups []string
	for _, g := range s.groupNames(w, row.Groups) {
		groups = append(groups, *g.GroupName)
	}
	tree := map[string]string{
		"ami-id":                             row.Image,
		"ami-launch-index":                   strconv.Itoa(int(row.LaunchIndex)),
		"ami-manifest-path":                  "(unknown)",
		"hostname":                           name,
		"local-hostname":                     name,
		"local-ipv4":                         row.Loopback.String(),
		"instance-action":                    "none",
		"instance-id":                        row.ID,
		"instance-life-cycle":                pick(row.Spot, "spot", "on-demand"),
		"instance-type":                      string(row.Type),
		"mac":                                row.MAC,
		"placement/availability-zone":        row.Zone,
		"placement/availability-zone-id":     row.ZoneID,
		"placement/region":                   w.Region,
		"profile":                            "default-hvm",
		"reservation-id":                     row.Reservation,
		"security-groups":                    strings.Join(groups, "\n"),
		"services/domain":                    "amazonaws.com",
		"services/partition":                 "aws",
		"dynamic/instance-identity/document": identityDocument(w, row),
	}
	nic := "network/interfaces/macs/" + row.MAC + "/"
	privates, publics := []string{row.Private.String()}, []string(nil)
	if addr := row.publicAddress(); addr.IsValid() {
		publics = append(publics, addr.String())
		tree[nic+"ipv4-associations/"+addr.String()] = row.Private.String()
	}
	for _, addr := range row.More {
		privates = append(privates, addr.String())
		if a, ok := s.elasticAt(w, row.Interface, addr); ok {
			publics = append(publics, *a.PublicIp)
			tree[nic+"ipv4-associations/"+*a.PublicIp] = addr.String()
		}
	}
	if len(publics) > 0 {
		tree[nic+"public-ipv4s"] = strings.Join(publics, "\n")
	}
	vpc, _ := s.vpcs.get(w, row.VPC)
	subnet, _ := s.subnets.get(w, row.Subnet)
	for key, value := range map[string]string{
		"device-number": "0", "interface-id": row.Interface, "local-hostname": name, "local-ipv4s": strings.Join(privates, "\n"), "mac": row.MAC,
		"owner-id": w.Account, "security-group-ids": strings.Join(row.Groups, "\n"), "security-groups": strings.Join(groups, "\n"),
		"subnet-id": row.Subnet, "subnet-ipv4-cidr-block": deref(subnet.Subnet.CidrBlock), "vpc-id": row.VPC, "vpc-ipv4-cidr-block": deref(vpc.Vpc.CidrBlock),
	} {
		tree[nic+key] = value
	}
	if addr := row.publicAddress(); addr.IsValid() {
		tree["public-ipv4"], tree["public-hostname"] = addr.String(), s.publicName(w, row)
	}
	if row.PublicKey != "" {
		tree["public-keys/0/openssh-key"] = row.PublicKey
	}
	if row.Profile != nil {
		text, _ := json.Marshal(map[string]string{ // strings always marshal
			"Code": "Success", "LastUpdated": row.Launched.UTC().Format(time.RFC3339),
			"InstanceProfileArn": deref(row.Profile.Arn), "InstanceProfileId": deref(row.Profile.Id),
		})
		tree["iam/info"] = string(text)
	}
	if row.Metadata.InstanceMetadataTags == types.InstanceMetadataTagsStateEnabled {
		for _, tag := range s.tagList(w, row.ID) {
			tree["tags/instance/"+*tag.Key] = *tag.Value
		}
	}
	for _, v := range s.volumesOf(w, row.ID) {
		tree["block-device-mapping/"+pick(v.Root, "root", "ebs-"+strings.TrimPrefix(*v.Attachment.Device, "/dev/"))] = *v.Attachment.Device
	}
	return tree
}

func identityDocument(w world, row instanceRow) string {
	text, _ := json.MarshalIndent(map[string]any{ // plain values always marshal
		"accountId": w.Account, "architecture": row.Arch, "availabilityZone": row.Zone, "imageId": row.Image, "instanceId": row.ID,
		"instanceType": row.Type, "pendingTime": row.Launched.UTC().Format(time.RFC3339), "privateIp": row.Private.String(),
		"region": w.Region, "version": "2017-09-30", "billingProducts": nil, "devpayProductCodes": nil, "marketplaceProductCodes": nil,
		"kernelId": nil, "ramdiskId": nil,
	}, "", "  ")
	return string(text)
}
