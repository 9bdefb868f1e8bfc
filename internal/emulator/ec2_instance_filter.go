package emulator

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// instanceFilters are the filters of DescribeInstances.
func (s *ec2Service) instanceFilters(w world) filters[instanceRow] {
	const timeForm = "2006-01-02T15:04:05.000Z"
	groups := func(pick func(types.GroupIdentifier) *string) func(instanceRow) []string {
		return func(r instanceRow) (all []string) {
			if !r.holdsNetwork() {
				return nil
			}
			for _, g := range s.groupNames(w, r.Groups) {
				all = append(all, *pick(g))
			}
			return all
		}
	}
	network := func(pick func(instanceRow) string) func(instanceRow) []string {
		return func(r instanceRow) []string {
			if !r.holdsNetwork() {
				return nil
			}
			return one(pick(r))
		}
	}
	volumes := func(pick func(types.VolumeAttachment) []string) func(instanceRow) []string {
		return func(r instanceRow) (all []string) {
			for _, v := range s.volumesOf(w, r.ID) {
				all = append(all, pick(*v.Attachment)...)
			}
			return all
		}
	}
	text := func(pick func(instanceRow) string) func(instanceRow) []string {
		return func(r instanceRow) []string { return one(pick(r)) }
	}
	groupID := groups(func(g types.GroupIdentifier) *string { return g.GroupId })
	groupName := groups(func(g types.GroupIdentifier) *string { return g.GroupName })
	vpc := network(func(r instanceRow) string { return r.VPC })
	subnet := network(func(r instanceRow) string { return r.Subnet })
	zone := text(func(r instanceRow) string { return r.Zone })
	private := network(func(r instanceRow) string { return r.Private.String() })
	public := network(func(r instanceRow) string {
		if addr := r.publicAddress(); addr.IsValid() {
			return addr.String()
		}
		return ""
	})
	return filters[instanceRow]{
		"instance-id":                         text(instanceRow.id),
		"image-id":                            text(func(r instanceRow) string { return r.Image }),
		"instance-type":                       func(r instanceRow) []string { return one(r.Type) },
		"instance-state-name":                 func(r instanceRow) []string { return one(r.State) },
		"instance-state-code":                 func(r instanceRow) []string { return []string{strconv.Itoa(int(stateCode(r.State)))} },
		"state-reason-code":                   func(r instanceRow) []string { return opt(deref(r.Reason).Code) },
		"instance-lifecycle":                  text(func(r instanceRow) string { return pick(r.Spot, "spot", "") }),
		"architecture":                        func(r instanceRow) []string { return one(r.Arch) },
		"availability-zone":                   zone,
		"availability-zone-id":                text(func(r instanceRow) string { return r.ZoneID }),
		"client-token":                        text(func(r instanceRow) string { return r.Token }),
		"dns-name":                            text(func(r instanceRow) string { return s.publicName(w, r) }),
		"private-dns-name":                    network(func(r instanceRow) string { return privateName(w.Region, r.Private) }),
		"group-id":                            groupID,
		"group-name":                          groupName,
		"instance.group-id":                   groupID,
		"instance.group-name":                 groupName,
		"network-interface.group-id":          groupID,
		"network-interface.group-name":        groupName,
		"vpc-id":                              vpc,
		"network-interface.vpc-id":            vpc,
		"subnet-id":                           subnet,
		"network-interface.subnet-id":         subnet,
		"network-interface.availability-zone": zone,
		"private-ip-address":                  private,
		"network-interface.addresses.private-ip-address": func(r instanceRow) []string {
			all := private(r)
			for _, addr := range r.More {
				if r.holdsNetwork() {
					all = append(all, addr.String())
				}
			}
			return all
		},
		"ip-address": public,
		"network-interface.addresses.association.public-ip": public,
		"network-interface.network-interface-id":            network(func(r instanceRow) string { return r.Interface }),
		"network-interface.mac-address":                     network(func(r instanceRow) string { return r.MAC }),
		"source-dest-check":                                 network(func(r instanceRow) string { return strconv.FormatBool(r.SourceDestCheck) }),
		"key-name":                                          text(func(r instanceRow) string { return r.KeyName }),
		"launch-index":                                      text(func(r instanceRow) string { return strconv.Itoa(int(r.LaunchIndex)) }),
		"launch-time":                                       text(func(r instanceRow) string { return r.Launched.UTC().Format(timeForm) }),
		"owner-id":                                          text(func(instanceRow) string { return w.Account }),
		"reservation-id":                                    text(func(r instanceRow) string { return r.Reservation }),
		"monitoring-state":                                  func(r instanceRow) []string { return one(monitoring(r)) },
		"tenancy":                                           func(r instanceRow) []string { return one(r.Tenancy) },
		"iam-instance-profile.arn":                          func(r instanceRow) []string { return opt(deref(r.Profile).Arn) },
		"root-device-name":                                  text(func(r instanceRow) string { return r.RootDevice }),
		"root-device-type":                                  text(func(instanceRow) string { return "ebs" }),
		"hypervisor":                                        text(func(instanceRow) string { return "xen" }),
		"virtualization-type":                               text(func(instanceRow) string { return "hvm" }),
		"platform-details":                                  text(func(r instanceRow) string { return platformOf(r.OS).details }),
		"platform":                                          func(r instanceRow) []string { return one(platformOf(r.OS).name) },
		"metadata-options.http-tokens":                      func(r instanceRow) []string { return one(r.Metadata.HttpTokens) },
		"metadata-options.http-endpoint":                    func(r instanceRow) []string { return one(r.Metadata.HttpEndpoint) },
		"metadata-options.instance-metadata-tags":           func(r instanceRow) []string { return one(r.Metadata.InstanceMetadataTags) },
		"block-device-mapping.volume-id":                    volumes(func(a types.VolumeAttachment) []string { return opt(a.VolumeId) }),
		"block-device-mapping.device-name":                  volumes(func(a types.VolumeAttachment) []string { return opt(a.Device) }),
		"block-device-mapping.status":                       volumes(func(a types.VolumeAttachment) []string { return one(a.State) }),
		"block-device-mapping.delete-on-termination":        volumes(func(a types.VolumeAttachment) []string { return flag(a.DeleteOnTermination) }),
		"block-device-mapping.attach-time": volumes(func(a types.VolumeAttachment) []string {
			return []string{a.AttachTime.UTC().Format(timeForm)}
		}),
	}
}
