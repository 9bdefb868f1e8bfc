package emulator

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

const (
	statePending      = types.InstanceStateNamePending
	stateRunning      = types.InstanceStateNameRunning
	stateStopping     = types.InstanceStateNameStopping
	stateStopped      = types.InstanceStateNameStopped
	stateShuttingDown = types.InstanceStateNameShuttingDown
	stateTerminated   = types.InstanceStateNameTerminated
)

// instanceRow is an instance.
type instanceRow struct {
	ID, Reservation, Token     string
	LaunchIndex                int32
	Image                      string
	Type                       types.InstanceType
	Arch                       types.ArchitectureValues
	KeyName, PublicKey         string
	UserData                   string // base64, as it was given
	VPC, Subnet, Zone, ZoneID  string
	Private                    netip.Addr
	More                       []netip.Addr // secondary private addresses of its own interface
	Loopback                   netip.Addr   // the machine's own address on this host
	Public                     bool         // the loopback address is its public one
	Elastic                    netip.Addr   // an elastic IP address in its stead
	Interface, Attachment, MAC string
	InterfaceText              string
	Groups                     []string
	SourceDestCheck            bool
	State                      types.InstanceStateName
	Reason                     *types.StateReason
	StateText                  string // StateTransitionReason
	Launched, Due, Ended       time.Time
	StatusDue                  time.Time // when the status checks may be ok
	Settled                    bool      // the machine's part of the change of state is done
	Booted, Fresh, Reboot      bool      // Fresh: its machine never ran
	Metadata                   types.InstanceMetadataOptionsResponse
	Profile                    *types.IamInstanceProfile
	ProfileSince               time.Time // when it was associated
	Shutdown                   types.ShutdownBehavior
	KeepAlive, KeepRunning     bool // termination and stop protection
	EbsOptimized, Spot         bool
	NoENA                      bool
	Monitored                  bool
	Tenancy                    types.Tenancy
	RootDevice                 string
	NewRoot                    string // the task that exchanges its root at the next reboot
	Layers                     []string
	OS, User                   string
	Credits                    string
	BootMode                   types.BootModeValues // the image's; empty where it says nothing
}

// bootedIn is what the instance runs in: all types here boot UEFI where the image
// can.
func (r instanceRow) bootedIn() types.InstanceBootModeValues {
	if r.BootMode == types.BootModeValuesLegacyBios {
		return types.InstanceBootModeValuesLegacyBios
	}
	return types.InstanceBootModeValuesUefi
}

func (r instanceRow) id() string { return r.ID }

// isUp says that callers take the machine for running, or about to.
func (r instanceRow) isUp() bool { return r.State == statePending || r.State == stateRunning }

func (r instanceRow) goesDown() bool { return r.State == stateStopping || r.State == stateShuttingDown }

// holdsNetwork says that it still has its address and its security groups.
func (r instanceRow) holdsNetwork() bool { return r.State != stateTerminated }

func (r instanceRow) publicAddress() netip.Addr {
	switch {
	case r.Elastic.IsValid() && r.holdsNetwork():
		return r.Elastic
	case r.Public && r.isUp():
		return r.Loopback
	}
	return netip.Addr{}
}

// shownFor is how long a terminated instance is still described; its client
// token stays taken for tokenLife.
const (
	shownFor  = time.Hour
	tokenLife = 25 * time.Hour
)

func (s *ec2Service) addInstances() {
	on(s, "RunInstances", runPaths, s.runInstances)
	on(s, "DescribeInstances", "InstanceIds Filters.* MaxResults NextToken", s.describeInstances)
	on(s, "DescribeInstanceStatus", "InstanceIds IncludeAllInstances Filters.* MaxResults NextToken", s.describeInstanceStatus)
	on(s, "GetConsoleOutput", "InstanceId Latest", s.getConsoleOutput)
	on(s, "GetPasswordData", "InstanceId", s.getPasswordData)
	s.cloud.hooks.inUse = s.kindInUse
}

// shownInstance is an instance that callers still see.
func (s *ec2Service) shownInstance(c apiCall, id string) (instanceRow, bool) {
	row, ok := s.instances.get(c.w, id)
	return row, ok && s.isShown(row)
}

func (s *ec2Service) isShown(row instanceRow) bool {
	return row.State != stateTerminated || s.cloud.clock.Now().Before(row.Ended.Add(shownFor))
}

// liveInstance is an instance that callers see, or EC2's error.
func (s *ec2Service) liveInstance(c apiCall, id *string) (instanceRow, error) {
	row, err := need(s.instances, c.w, instanceID, id)
	if err == nil && !s.isShown(row) {
		err = instanceID.missing(row.ID)
	}
	return row, err
}

// liveInstances are the instances with the IDs, in that order, each once; all
// that callers see if there are no IDs.
func (s *ec2Service) liveInstances(c apiCall, ids []string) ([]instanceRow, error) {
	rows, err := needAll(s, s.instances, c.w, instanceID, ids)
	if err != nil {
		return nil, err
	}
	shown := keep(rows, s.isShown)
	if len(ids) > 0 && len(shown) < len(rows) {
		for _, row := range rows {
			if !s.isShown(row) {
				return nil, instanceID.missing(row.ID)
			}
		}
	}
	return shown, nil
}

// kindInUse says whether the files of any instance or image depend on the kind
// of machine that they were made on.
func (s *ec2Service) kindInUse() bool {
	for key := range s.instances.rows {
		for _, row := range s.instances.all(parseWorld(key)) {
			if row.State != stateTerminated {
				return true
			}
		}
	}
	for _, rows := range s.snapshots.rows {
		if len(rows) > 0 {
			return true
		}
	}
	return false
}

func stateCode(name types.InstanceStateName) int32 {
	return map[types.InstanceStateName]int32{
		statePending: 0, stateRunning: 16, stateShuttingDown: 32, stateTerminated: 48, stateStopping: 64, stateStopped: 80,
	}[name]
}

func stateOf(name types.InstanceStateName) *types.InstanceState {
	return &types.InstanceState{Name: name, Code: new(stateCode(name))}
}

func (s *ec2Service) groupNames(w world, ids []string) []types.GroupIdentifier {
	var list []types.GroupIdentifier
	for _, id := range ids {
		group, _ := s.groups.get(w, id)
		list = append(list, types.GroupIdentifier{GroupId: new(id), GroupName: new(group.Name)})
	}
	return list
}

// showInstance is an instance as it's described.
func (s *ec2Service) showInstance(w world, row instanceRow) types.Instance {
	public := row.publicAddress()
	i := types.Instance{
		InstanceId: new(row.ID), ImageId: new(row.Image), InstanceType: row.Type, Architecture: row.Arch,
		AmiLaunchIndex: new(row.LaunchIndex), State: stateOf(row.State), StateReason: row.Reason, StateTransitionReason: new(row.StateText),
		LaunchTime: new(row.Launched), PrivateDnsName: new(""), PublicDnsName: new(""), EbsOptimized: new(row.EbsOptimized), EnaSupport: new(true),
		Hypervisor: types.HypervisorTypeXen, VirtualizationType: types.VirtualizationTypeHvm, RootDeviceType: types.DeviceTypeEbs,
		RootDeviceName: new(row.RootDevice), Monitoring: &types.Monitoring{State: monitoring(row)},
		Placement:       &types.Placement{AvailabilityZone: new(row.Zone), AvailabilityZoneId: new(row.ZoneID), GroupName: new(""), Tenancy: row.Tenancy},
		Platform:        types.PlatformValues(platformOf(row.OS).name),
		PlatformDetails: new(platformOf(row.OS).details),
		UsageOperation:  new(platformOf(row.OS).operation),
		BootMode:        row.BootMode, CurrentInstanceBootMode: row.bootedIn(),
		CpuOptions:         cpuOf(row.Type),
		Tags:               s.tagList(w, row.ID),
		MetadataOptions:    new(row.Metadata),
		EnclaveOptions:     &types.EnclaveOptions{Enabled: new(false)},
		HibernationOptions: &types.HibernationOptions{Configured: new(false)},
		MaintenanceOptions: &types.InstanceMaintenanceOptions{AutoRecovery: types.InstanceAutoRecoveryStateDefault},
	}
	if row.KeyName != "" {
		i.KeyName = new(row.KeyName)
	}
	if row.Token != "" {
		i.ClientToken = new(row.Token)
	}
	if row.Spot {
		i.InstanceLifecycle = types.InstanceLifecycleTypeSpot
	}
	i.IamInstanceProfile = row.Profile
	if !row.holdsNetwork() {
		return i
	}
	i.VpcId, i.SubnetId, i.SourceDestCheck = new(row.VPC), new(row.Subnet), new(row.SourceDestCheck)
	i.PrivateIpAddress, i.PrivateDnsName = new(row.Private.String()), new(privateName(w.Region, row.Private))
	i.PrivateDnsNameOptions = &types.PrivateDnsNameOptionsResponse{
		HostnameType: types.HostnameTypeIpName, EnableResourceNameDnsARecord: new(false), EnableResourceNameDnsAAAARecord: new(false),
	}
	i.SecurityGroups = s.groupNames(w, row.Groups)
	if public.IsValid() {
		i.PublicIpAddress, i.PublicDnsName = new(public.String()), new(s.publicName(w, row))
	}
	i.NetworkInterfaces = []types.InstanceNetworkInterface{s.showInterface(w, row)}
	for _, nic := range s.nicsOf(w, row.ID) {
		i.NetworkInterfaces = append(i.NetworkInterfaces, s.onInstance(w, nic))
	}
	for _, v := range s.volumesOf(w, row.ID) {
		i.BlockDeviceMappings = append(i.BlockDeviceMappings, types.InstanceBlockDeviceMapping{
			DeviceName: v.Attachment.Device, Ebs: &types.EbsInstanceBlockDevice{
				VolumeId: v.Volume.VolumeId, AttachTime: v.Attachment.AttachTime, DeleteOnTermination: v.Attachment.DeleteOnTermination,
				Status: types.AttachmentStatus(v.Attachment.State),
			},
		})
	}
	return i
}

func monitoring(row instanceRow) types.MonitoringState {
	return pick(row.Monitored, types.MonitoringStateEnabled, types.MonitoringStateDisabled)
}

func privateName(region string, addr netip.Addr) string {
	if region == "us-east-1" {
		return hostname(addr) + ".ec2.internal"
	}
	return fmt.Sprintf("%s.%s.compute.internal", hostname(addr), region)
}

// publicName is the public DNS name, which only VPCs with DNS host names give.
func (s *ec2Service) publicName(w world, row instanceRow) string {
	vpc, _ := s.vpcs.get(w, row.VPC)
	addr := row.publicAddress()
	if !vpc.DNSHostnames || !addr.IsValid() {
		return ""
	}
	name := "ec2-" + hostname(addr)[len("ip-"):]
	if w.Region == "us-east-1" {
		return name + ".compute-1.amazonaws.com"
	}
	return fmt.Sprintf("%s.%s.compute.amazonaws.com", name, w.Region)
}

func (s *ec2Service) describeInstances(c apiCall, in *ec2.DescribeInstancesInput) (*ec2.DescribeInstancesOutput, error) {
	if err := noPagesOfIDs(in.InstanceIds, "instancesSet", in.MaxResults); err != nil {
		return nil, err
	}
	rows, err := s.liveInstances(c, in.InstanceIds)
	if err != nil {
		return nil, err
	}
	rows, err = choose(s, c.w, rows, instanceRow.id, s.instanceFilters(c.w), in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, instanceRow.id, paging{in.MaxResults, in.NextToken, 5, 1000})
	return &ec2.DescribeInstancesOutput{Reservations: s.reservations(c, rows), NextToken: next}, err
}

// reservations lists instances by the call that launched them.
func (s *ec2Service) reservations(c apiCall, rows []instanceRow) []types.Reservation {
	var list []types.Reservation
	index := map[string]int{}
	for _, row := range rows {
		i, ok := index[row.Reservation]
		if !ok {
			i = len(list)
			index[row.Reservation] = i
			list = append(list, types.Reservation{ReservationId: new(row.Reservation), OwnerId: new(c.Account)})
		}
		list[i].Instances = append(list[i].Instances, s.showInstance(c.w, row))
	}
	return list
}

// checks are an instance's status: both of EC2's checks pass once it has booted.
func (s *ec2Service) checks(row instanceRow) (types.SummaryStatus, types.StatusType) {
	switch {
	case row.State != stateRunning:
		return types.SummaryStatusNotApplicable, ""
	case (row.Booted || !s.hosts.on()) && !s.cloud.clock.Now().Before(row.StatusDue):
		return types.SummaryStatusOk, types.StatusTypePassed
	}
	return types.SummaryStatusInitializing, types.StatusTypeInitializing
}

func (s *ec2Service) describeInstanceStatus(c apiCall, in *ec2.DescribeInstanceStatusInput) (*ec2.DescribeInstanceStatusOutput, error) {
	if err := noPagesOfIDs(in.InstanceIds, "instancesSet", in.MaxResults); err != nil {
		return nil, err
	}
	rows, err := s.liveInstances(c, in.InstanceIds)
	if err != nil {
		return nil, err
	}
	if !deref(in.IncludeAllInstances) {
		rows = keep(rows, func(r instanceRow) bool { return r.State == stateRunning })
	}
	check := func(r instanceRow) []string { status, _ := s.checks(r); return one(status) }
	detail := func(r instanceRow) []string { _, status := s.checks(r); return one(status) }
	rows, err = choose(s, c.w, rows, instanceRow.id, filters[instanceRow]{
		"availability-zone":            func(r instanceRow) []string { return one(r.Zone) },
		"instance-state-name":          func(r instanceRow) []string { return one(r.State) },
		"instance-state-code":          func(r instanceRow) []string { return []string{strconv.Itoa(int(stateCode(r.State)))} },
		"instance-status.status":       check,
		"system-status.status":         check,
		"attached-ebs-status.status":   check,
		"instance-status.reachability": detail,
		"system-status.reachability":   detail,
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, instanceRow.id, paging{in.MaxResults, in.NextToken, 5, 1000})
	out := &ec2.DescribeInstanceStatusOutput{NextToken: next}
	for _, row := range rows {
		status, detail := s.checks(row)
		summary := &types.InstanceStatusSummary{Status: status}
		if detail != "" {
			summary.Details = []types.InstanceStatusDetails{{Name: types.StatusNameReachability, Status: detail}}
		}
		out.InstanceStatuses = append(out.InstanceStatuses, types.InstanceStatus{
			InstanceId: new(row.ID), AvailabilityZone: new(row.Zone), AvailabilityZoneId: new(row.ZoneID), InstanceState: stateOf(row.State),
			InstanceStatus: summary, SystemStatus: summary, AttachedEbsStatus: &types.EbsStatusSummary{Status: status},
		})
	}
	return out, err
}
