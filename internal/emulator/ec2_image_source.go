package emulator

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// sourceImage is a public image that every region has from the start, named
// and owned as the distributor's own.
type sourceImage struct {
	os, user    string
	owner       string
	alias       string
	name        string
	description string
	arch        types.ArchitectureValues
	date        string // when it was published
	root        string
	size        int32
}

// sourceImages are Debian's, Ubuntu's and Amazon's images, two versions each,
// so that the most recent one is a choice; and Windows.
func sourceImages() []sourceImage {
	var list []sourceImage
	for _, arch := range []struct {
		is     types.ArchitectureValues
		debian string
	}{{types.ArchitectureValuesX8664, "amd64"}, {types.ArchitectureValuesArm64, "arm64"}} {
		for _, build := range [][2]string{{"20250814-2204", "2025-08-14T05:11:28.000Z"}, {"20251006-2257", "2025-10-06T07:03:41.000Z"}} {
			list = append(list, sourceImage{
				os: "debian-12", user: "admin", owner: "136693071363", name: fmt.Sprintf("debian-12-%s-%s", arch.debian, build[0]),
				description: fmt.Sprintf("Debian 12 (%s)", build[0]), arch: arch.is, date: build[1], root: "/dev/xvda", size: 8,
			})
		}
		for _, build := range [][2]string{{"20250821", "2025-08-21T06:20:10.000Z"}, {"20251001", "2025-10-01T05:35:47.000Z"}} {
			list = append(list, sourceImage{
				os: "ubuntu-24.04", user: "ubuntu", owner: "099720109477",
				name:        fmt.Sprintf("ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-%s-server-%s", arch.debian, build[0]),
				description: fmt.Sprintf("Canonical, Ubuntu, 24.04, %s noble image", arch.debian), arch: arch.is, date: build[1], root: "/dev/sda1", size: 8,
			})
		}
		for _, build := range [][2]string{{"2023.8.20250908.0", "2025-09-08T19:01:12.000Z"}, {"2023.9.20251014.0", "2025-10-14T20:44:03.000Z"}} {
			list = append(list, sourceImage{
				os: "amazon-linux-2023", user: "ec2-user", owner: "137112412989", alias: "amazon",
				name:        fmt.Sprintf("al2023-ami-%s-kernel-6.1-%s", build[0], arch.is),
				description: fmt.Sprintf("Amazon Linux 2023 AMI %s %s HVM kernel-6.1", build[0], arch.is), arch: arch.is, date: build[1], root: "/dev/xvda", size: 8,
			})
		}
	}
	return append(list, windowsImage())
}

// row is the image in a region, with the snapshot of its root: a snapshot of
// no files, since what a machine has without layers is the distribution.
func (i sourceImage) row(region string) (imageRow, snapshotRow) {
	id, snap := imageID.stable(region, i.name), snapshotID.stable(region, i.name)
	ebs := &types.EbsBlockDevice{
		DeleteOnTermination: new(true), Encrypted: new(false), SnapshotId: new(snap), VolumeSize: new(i.size), VolumeType: types.VolumeTypeGp3,
		Iops: new(int32(3000)), Throughput: new(int32(125)),
	}
	image := types.Image{
		ImageId: new(id), Name: new(i.name), Description: new(i.description), OwnerId: new(i.owner), Architecture: i.arch, CreationDate: new(i.date),
		ImageLocation: new(i.owner + "/" + i.name), ImageType: types.ImageTypeValuesMachine, Public: new(true), State: types.ImageStateAvailable,
		RootDeviceName: new(i.root), RootDeviceType: types.DeviceTypeEbs, VirtualizationType: types.VirtualizationTypeHvm, Hypervisor: types.HypervisorTypeXen,
		EnaSupport: new(true), SriovNetSupport: new("simple"), PlatformDetails: new(platformOf(i.os).details), UsageOperation: new(platformOf(i.os).operation),
		Platform:            types.PlatformValues(platformOf(i.os).name),
		BootMode:            pick(i.arch == types.ArchitectureValuesArm64, types.BootModeValuesUefi, types.BootModeValuesUefiPreferred),
		BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: new(i.root), Ebs: ebs}},
	}
	if i.alias != "" {
		image.ImageOwnerAlias = new(i.alias)
	}
	if i.os == "amazon-linux-2023" {
		image.ImdsSupport = types.ImdsSupportValuesV20
	}
	return imageRow{Image: image, OS: i.os, User: i.user, Public: true}, snapshotRow{
		OS: i.os, User: i.user, Root: true, Filled: true, Public: true, Snapshot: types.Snapshot{
			SnapshotId: new(snap), OwnerId: new(i.owner), State: types.SnapshotStateCompleted, Progress: new("100%"), VolumeSize: new(i.size),
			Encrypted: new(false), Description: new(i.description), VolumeId: new("vol-ffffffff"), StartTime: parseDate(i.date), StorageTier: types.StorageTierStandard,
		},
	}
}

// publicImage is the newest source image of an operating system: what
// Amazon's, Canonical's and Debian's public parameters name.
func publicImage(region, os, arch string) string {
	id := ""
	for _, image := range sourceImages() {
		if image.os == os && string(image.arch) == arch {
			id = imageID.stable(region, image.name) // later ones are newer
		}
	}
	return id
}
