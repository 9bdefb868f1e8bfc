package emulator

import (
	"cmp"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// kindOfInstance is an instance type.
type kindOfInstance struct {
	name   types.InstanceType
	arch   types.ArchitectureValues
	cpus   int32
	memory int64 // MiB
}

func (k kindOfInstance) burstable() bool { return strings.HasPrefix(string(k.name), "t") }

// instanceTypes are the types that the local cloud offers, by name: the general
// ones, in the sizes that EC2 has. Memory for each vCPU tells the families apart.
var instanceTypes = sync.OnceValue(func() []kindOfInstance {
	var list []kindOfInstance
	arm := func(family string) types.ArchitectureValues {
		return pick(strings.HasSuffix(family, "g"), types.ArchitectureValuesArm64, types.ArchitectureValuesX8664)
	}
	for _, family := range []string{"t3", "t3a", "t4g"} {
		for _, size := range []struct {
			name   string
			cpus   int32
			memory int64
		}{{"nano", 2, 512}, {"micro", 2, 1024}, {"small", 2, 2048}, {"medium", 2, 4096}, {"large", 2, 8192}, {"xlarge", 4, 16384}, {"2xlarge", 8, 32768}} {
			list = append(list, kindOfInstance{types.InstanceType(family + "." + size.name), arm(family), size.cpus, size.memory})
		}
	}
	for _, group := range []struct {
		families string
		memory   int64
	}{{"m5 m5a m6a m6i m6g m7a m7i m7g m8g", 4096}, {"c5 c5a c6a c6i c6g c7a c7i c7g c8g", 2048}, {"r5 r5a r6a r6i r6g r7a r7i r7g r8g", 8192}} {
		for _, family := range strings.Fields(group.families) {
			for _, size := range []struct {
				name string
				cpus int32
			}{{"large", 2}, {"xlarge", 4}, {"2xlarge", 8}, {"4xlarge", 16}, {"8xlarge", 32}, {"12xlarge", 48}, {"16xlarge", 64}} {
				list = append(list, kindOfInstance{types.InstanceType(family + "." + size.name), arm(family), size.cpus, int64(size.cpus) * group.memory})
			}
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].name < list[j].name })
	return list
})

func instanceType(name types.InstanceType) (kindOfInstance, bool) {
	all := instanceTypes()
	i, ok := slices.BinarySearchFunc(all, name, func(k kindOfInstance, name types.InstanceType) int { return cmp.Compare(k.name, name) })
	if !ok {
		return kindOfInstance{}, false
	}
	return all[i], true
}

// network is how many interfaces a type takes, and how many private IPv4
// addresses each of them.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/AvailableIpPerENI.html
func (k kindOfInstance) network() (interfaces, addresses int32) {
	_, size, _ := strings.Cut(string(k.name), ".")
	switch {
	case size == "nano" || size == "micro":
		return 2, 2
	case size == "small":
		return 3, 4
	case size == "medium":
		return 3, 6
	case size == "large" && k.burstable():
		return 3, 12
	case size == "large":
		return 3, 10
	case size == "xlarge" || size == "2xlarge":
		return 4, 15
	case size == "16xlarge":
		return 15, 50
	}
	return 8, 30
}

func cpuOf(name types.InstanceType) *types.CpuOptions {
	kind, _ := instanceType(name)
	threads := pick(kind.arch == types.ArchitectureValuesArm64, int32(1), int32(2))
	return &types.CpuOptions{CoreCount: new(kind.cpus / threads), ThreadsPerCore: new(threads)}
}

func (s *ec2Service) addInstanceTypes() {
	on(s, "DescribeInstanceTypes", "InstanceTypes Filters.* MaxResults NextToken", s.describeInstanceTypes)
	on(s, "DescribeInstanceTypeOfferings", "LocationType Filters.* MaxResults NextToken", s.describeOfferings)
}

func (k kindOfInstance) info() types.InstanceTypeInfo {
	arm := k.arch == types.ArchitectureValuesArm64
	cpu := cpuOf(k.name)
	interfaces, addresses := k.network()
	modes := []types.BootModeType{types.BootModeTypeUefi}
	if !arm {
		modes = append([]types.BootModeType{types.BootModeTypeLegacyBios}, modes...)
	}
	return types.InstanceTypeInfo{
		InstanceType: k.name, CurrentGeneration: new(true), FreeTierEligible: new(k.name == "t3.micro" || k.name == "t4g.small"),
		SupportedUsageClasses:    []types.UsageClassType{types.UsageClassTypeOnDemand, types.UsageClassTypeSpot},
		SupportedRootDeviceTypes: []types.RootDeviceType{types.RootDeviceTypeEbs}, SupportedVirtualizationTypes: []types.VirtualizationType{types.VirtualizationTypeHvm},
		BareMetal: new(false), Hypervisor: types.InstanceTypeHypervisorNitro, BurstablePerformanceSupported: new(k.burstable()),
		ProcessorInfo:            &types.ProcessorInfo{SupportedArchitectures: []types.ArchitectureType{types.ArchitectureType(k.arch)}, SustainedClockSpeedInGhz: new(2.5)},
		VCpuInfo:                 &types.VCpuInfo{DefaultVCpus: new(k.cpus), DefaultCores: cpu.CoreCount, DefaultThreadsPerCore: cpu.ThreadsPerCore},
		MemoryInfo:               &types.MemoryInfo{SizeInMiB: new(k.memory)},
		InstanceStorageSupported: new(false), SupportedBootModes: modes, HibernationSupported: new(false), DedicatedHostsSupported: new(true), AutoRecoverySupported: new(true),
		EbsInfo:     &types.EbsInfo{EbsOptimizedSupport: types.EbsOptimizedSupportDefault, EncryptionSupport: types.EbsEncryptionSupportSupported, NvmeSupport: types.EbsNvmeSupportRequired},
		NetworkInfo: &types.NetworkInfo{MaximumNetworkInterfaces: new(interfaces), MaximumNetworkCards: new(int32(1)), DefaultNetworkCardIndex: new(int32(0)), EnaSupport: types.EnaSupportRequired, Ipv4AddressesPerInterface: new(addresses), Ipv6Supported: new(true), NetworkPerformance: new("Up to 10 Gigabit")},
	}
}

func (s *ec2Service) describeInstanceTypes(c apiCall, in *ec2.DescribeInstanceTypesInput) (*ec2.DescribeInstanceTypesOutput, error) {
	var list []types.InstanceTypeInfo
	if len(in.InstanceTypes) == 0 {
		for _, kind := range instanceTypes() {
			list = append(list, kind.info())
		}
	}
	for _, name := range in.InstanceTypes {
		kind, ok := instanceType(name)
		if !ok {
			return nil, refuse("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", name)
		}
		list = append(list, kind.info())
	}
	list, err := choose(s, c.w, list, nil, filters[types.InstanceTypeInfo]{
		"instance-type":                         func(i types.InstanceTypeInfo) []string { return one(i.InstanceType) },
		"current-generation":                    func(i types.InstanceTypeInfo) []string { return flag(i.CurrentGeneration) },
		"free-tier-eligible":                    func(i types.InstanceTypeInfo) []string { return flag(i.FreeTierEligible) },
		"bare-metal":                            func(i types.InstanceTypeInfo) []string { return flag(i.BareMetal) },
		"burstable-performance-supported":       func(i types.InstanceTypeInfo) []string { return flag(i.BurstablePerformanceSupported) },
		"hypervisor":                            func(i types.InstanceTypeInfo) []string { return one(i.Hypervisor) },
		"instance-storage-supported":            func(i types.InstanceTypeInfo) []string { return flag(i.InstanceStorageSupported) },
		"memory-info.size-in-mib":               func(i types.InstanceTypeInfo) []string { return number(i.MemoryInfo.SizeInMiB) },
		"processor-info.supported-architecture": func(i types.InstanceTypeInfo) []string { return one(i.ProcessorInfo.SupportedArchitectures[0]) },
		"supported-boot-mode": func(i types.InstanceTypeInfo) (all []string) {
			for _, mode := range i.SupportedBootModes {
				all = append(all, string(mode))
			}
			return all
		},
		"supported-root-device-type":    func(types.InstanceTypeInfo) []string { return []string{"ebs"} },
		"supported-usage-class":         func(types.InstanceTypeInfo) []string { return []string{"on-demand", "spot"} },
		"supported-virtualization-type": func(types.InstanceTypeInfo) []string { return []string{"hvm"} },
		"vcpu-info.default-vcpus":       func(i types.InstanceTypeInfo) []string { return number(i.VCpuInfo.DefaultVCpus) },
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	list, next, err := page(list, func(i types.InstanceTypeInfo) string { return string(i.InstanceType) }, paging{in.MaxResults, in.NextToken, 5, 100})
	return &ec2.DescribeInstanceTypesOutput{InstanceTypes: list, NextToken: next}, err
}

func (s *ec2Service) describeOfferings(c apiCall, in *ec2.DescribeInstanceTypeOfferingsInput) (*ec2.DescribeInstanceTypeOfferingsOutput, error) {
	places := []string{c.Region}
	location := in.LocationType
	switch location {
	case "", types.LocationTypeRegion:
		location = types.LocationTypeRegion
	case types.LocationTypeAvailabilityZone, types.LocationTypeAvailabilityZoneId:
		places = nil
		for _, z := range zones(c.Region) {
			places = append(places, pick(location == types.LocationTypeAvailabilityZone, z.Name, z.ID))
		}
	default:
		return nil, refuse("InvalidParameterValue", "Value (%s) for parameter locationType is invalid.", location)
	}
	var list []types.InstanceTypeOffering
	for _, kind := range instanceTypes() {
		for _, place := range places {
			list = append(list, types.InstanceTypeOffering{InstanceType: kind.name, Location: new(place), LocationType: location})
		}
	}
	list, err := choose(s, c.w, list, nil, filters[types.InstanceTypeOffering]{
		"instance-type": func(o types.InstanceTypeOffering) []string { return one(o.InstanceType) },
		"location":      func(o types.InstanceTypeOffering) []string { return opt(o.Location) },
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	key := func(o types.InstanceTypeOffering) string { return string(o.InstanceType) + " " + *o.Location }
	list, next, err := page(list, key, paging{in.MaxResults, in.NextToken, 5, 1000})
	return &ec2.DescribeInstanceTypeOfferingsOutput{InstanceTypeOfferings: list, NextToken: next}, err
}
