package emulator

import (
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// imageRow is an AMI. It lives in its region's shared world; who may see it is
// its own matter.
type imageRow struct {
	Image       types.Image // without tags
	OS, User    string
	Public      bool
	Permissions []string // accounts that may launch it
}

func (r imageRow) id() string { return *r.Image.ImageId }

// snapshots are the IDs of the snapshots that the image is made of.
func (r imageRow) snapshots() []string {
	var ids []string
	for _, m := range r.Image.BlockDeviceMappings {
		if m.Ebs != nil && m.Ebs.SnapshotId != nil {
			ids = append(ids, *m.Ebs.SnapshotId)
		}
	}
	return ids
}

func (r imageRow) sharedWith(account string) bool {
	for _, id := range r.Permissions {
		if id == account {
			return true
		}
	}
	return false
}

// mayLaunch says whether an account may use the image.
func (r imageRow) mayLaunch(account string) bool {
	return *r.Image.OwnerId == account || r.Public || r.sharedWith(account)
}

func (s *ec2Service) addImages() {
	on(s, "DescribeImages", "ImageIds Owners ExecutableUsers IncludeDeprecated IncludeDisabled Filters.* MaxResults NextToken", s.describeImages)
	const mappings = " BlockDeviceMappings.DeviceName BlockDeviceMappings.NoDevice BlockDeviceMappings.VirtualName BlockDeviceMappings.Ebs.DeleteOnTermination" +
		" BlockDeviceMappings.Ebs.VolumeSize BlockDeviceMappings.Ebs.VolumeType BlockDeviceMappings.Ebs.Iops BlockDeviceMappings.Ebs.Throughput" +
		" BlockDeviceMappings.Ebs.SnapshotId BlockDeviceMappings.Ebs.Encrypted "
	on(s, "CreateImage", "InstanceId Name Description NoReboot BootModeOverride TagSpecifications.*"+mappings, s.createImage)
	on(s, "RegisterImage", "Name Description Architecture RootDeviceName VirtualizationType EnaSupport ImdsSupport BootMode SriovNetSupport TagSpecifications.*"+mappings, s.registerImage)
	on(s, "CopyImage", "Name Description SourceImageId SourceRegion ClientToken CopyImageTags Encrypted KmsKeyId SnapshotCopyCompletionDurationMinutes TagSpecifications.*", s.copyImage)
	on(s, "DeregisterImage", "ImageId DeleteAssociatedSnapshots", s.deregisterImage)
	s.settler("ec2-image", s.settleImage)
	s.cloud.hooks.publicImage = publicImage
	s.cloud.hooks.imageExists = func(w world, id string) bool {
		row, err := s.visibleImage(apiCall{caller: caller{Account: w.Account, Region: w.Region}, w: w}, id)
		return err == nil && row.Image.State == types.ImageStateAvailable
	}
}

func parseDate(text string) *time.Time {
	at, err := time.Parse(dateForm, text)
	if err != nil {
		return nil
	}
	return &at
}

const dateForm = "2006-01-02T15:04:05.000Z"

// imagesIn are all images of a region, its source images among them.
func (s *ec2Service) imagesIn(region string) []imageRow {
	list := s.images.all(world{Region: region})
	for _, source := range sourceImages() {
		row, _ := source.row(region)
		list = append(list, row)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].id() < list[j].id() })
	return list
}

// visibleImage is an image that the caller may use, or EC2's error.
func (s *ec2Service) visibleImage(c apiCall, id string) (imageRow, error) {
	if err := imageID.check(id); err != nil {
		return imageRow{}, refuse("InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id)
	}
	row, ok := s.images.get(c.shared(), id)
	if !ok {
		for _, source := range sourceImages() {
			if made, _ := source.row(c.Region); made.id() == id {
				row, ok = made, true
			}
		}
	}
	if !ok || !row.mayLaunch(c.Account) || !s.seen(id) {
		return imageRow{}, imageID.missing(id)
	}
	return row, nil
}

// namedImage is the image that a launch names: by its ID, or by the parameter that
// holds it, resolve:ssm:NAME, with a version or a label of it or without.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-systems-manager-parameter-to-find-AMI.html
func (s *ec2Service) namedImage(c apiCall, name string) (imageRow, error) {
	parameter, ok := strings.CutPrefix(name, "resolve:ssm:")
	if !ok {
		return s.visibleImage(c, name)
	}
	held, err := s.cloud.ssm.read(c.world(), parameter, nil)
	if err != nil {
		return imageRow{}, refuse("SsmInvalidParameter", "%s", messageOf(err))
	}
	if deref(held.DataType) != "aws:ec2:image" {
		return imageRow{}, refuse("SsmInvalidParameter", "Unsupported data type. The following parameter data types are supported: aws:ec2:image")
	}
	return s.visibleImage(c, *held.Value)
}

// ownImage is an image that the caller may change.
func (s *ec2Service) ownImage(c apiCall, id *string) (imageRow, error) {
	if err := require("ImageId", id); err != nil {
		return imageRow{}, err
	}
	row, err := s.visibleImage(c, *id)
	if err == nil && *row.Image.OwnerId != c.Account {
		err = refuse("AuthFailure", "Not authorized for image:%s", *id)
	}
	return row, err
}

// showImage is an image as an account sees it.
func (s *ec2Service) showImage(c apiCall, row imageRow) types.Image {
	image := row.Image
	image.Public = new(row.Public)
	image.Tags = s.tagList(c.w, row.id())
	if *image.OwnerId != c.Account {
		image.LastLaunchedTime = nil
	}
	return image
}

func (s *ec2Service) describeImages(c apiCall, in *ec2.DescribeImagesInput) (*ec2.DescribeImagesOutput, error) {
	if err := noPagesOfIDs(in.ImageIds, "imageIds", in.MaxResults); err != nil {
		return nil, err
	}
	var rows []imageRow
	if len(in.ImageIds) > 0 {
		seen := map[string]bool{}
		for _, id := range in.ImageIds {
			row, err := s.visibleImage(c, id)
			if err != nil {
				return nil, err
			}
			if !seen[id] {
				rows = append(rows, row)
			}
			seen[id] = true
		}
	} else {
		rows = keep(s.imagesIn(c.Region), func(r imageRow) bool { return r.mayLaunch(c.Account) && s.listed(c, r, in) })
	}
	if err := checkOwners(in.Owners); err != nil {
		return nil, err
	}
	rows = keep(rows, func(r imageRow) bool {
		return ownedBy(c, r, in.Owners) && executableBy(c, r, in.ExecutableUsers)
	})
	rows, err := choose(s, c.w, rows, imageRow.id, imageFilters(), in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, imageRow.id, paging{in.MaxResults, in.NextToken, 1, 1000})
	out := &ec2.DescribeImagesOutput{NextToken: next}
	for _, row := range rows {
		out.Images = append(out.Images, s.showImage(c, row))
	}
	return out, err
}

// listed leaves out images that EC2 shows only when asked for by ID: others'
// deprecated ones, and disabled ones.
func (s *ec2Service) listed(c apiCall, r imageRow, in *ec2.DescribeImagesInput) bool {
	if r.Image.State == types.ImageStateDisabled && !deref(in.IncludeDisabled) {
		return false
	}
	if *r.Image.OwnerId == c.Account || deref(in.IncludeDeprecated) || r.Image.DeprecationTime == nil {
		return true
	}
	at := parseDate(*r.Image.DeprecationTime)
	return at == nil || c.now.Before(*at)
}

func checkOwners(owners []string) error {
	for _, owner := range owners {
		alias := owner == "self" || owner == "amazon" || owner == "aws-marketplace" || owner == "aws-backup-vault"
		if !alias && (len(owner) != 12 || strings.Trim(owner, "0123456789") != "") {
			return refuse("InvalidUserID.Malformed", "Invalid user id: \"%s\"", owner)
		}
	}
	return nil
}

func ownedBy(c apiCall, r imageRow, owners []string) bool {
	for _, owner := range owners {
		if owner == *r.Image.OwnerId || owner == "self" && *r.Image.OwnerId == c.Account || owner == deref(r.Image.ImageOwnerAlias) {
			return true
		}
	}
	return len(owners) == 0
}

func executableBy(c apiCall, r imageRow, users []string) bool {
	for _, user := range users {
		switch {
		case user == "all" && r.Public:
			return true
		case user == "self" && (r.sharedWith(c.Account)):
			return true
		case r.sharedWith(user) && (*r.Image.OwnerId == c.Account || user == c.Account):
			return true
		}
	}
	return len(users) == 0
}

func imageFilters() filters[imageRow] {
	devices := func(pick func(types.BlockDeviceMapping) []string) func(imageRow) []string {
		return func(r imageRow) (all []string) {
			for _, m := range r.Image.BlockDeviceMappings {
				all = append(all, pick(m)...)
			}
			return all
		}
	}
	ebs := func(pick func(types.EbsBlockDevice) []string) func(imageRow) []string {
		return devices(func(m types.BlockDeviceMapping) []string { return pick(deref(m.Ebs)) })
	}
	return filters[imageRow]{
		"image-id":                         func(r imageRow) []string { return opt(r.Image.ImageId) },
		"name":                             func(r imageRow) []string { return opt(r.Image.Name) },
		"description":                      func(r imageRow) []string { return opt(r.Image.Description) },
		"architecture":                     func(r imageRow) []string { return one(r.Image.Architecture) },
		"state":                            func(r imageRow) []string { return one(r.Image.State) },
		"state-reason-code":                func(r imageRow) []string { return opt(deref(r.Image.StateReason).Code) },
		"state-reason-message":             func(r imageRow) []string { return opt(deref(r.Image.StateReason).Message) },
		"owner-id":                         func(r imageRow) []string { return opt(r.Image.OwnerId) },
		"owner-alias":                      func(r imageRow) []string { return opt(r.Image.ImageOwnerAlias) },
		"is-public":                        func(r imageRow) []string { return flag(&r.Public) },
		"image-type":                       func(r imageRow) []string { return one(r.Image.ImageType) },
		"root-device-type":                 func(r imageRow) []string { return one(r.Image.RootDeviceType) },
		"root-device-name":                 func(r imageRow) []string { return opt(r.Image.RootDeviceName) },
		"virtualization-type":              func(r imageRow) []string { return one(r.Image.VirtualizationType) },
		"hypervisor":                       func(r imageRow) []string { return one(r.Image.Hypervisor) },
		"ena-support":                      func(r imageRow) []string { return flag(r.Image.EnaSupport) },
		"sriov-net-support":                func(r imageRow) []string { return opt(r.Image.SriovNetSupport) },
		"imds-support":                     func(r imageRow) []string { return one(r.Image.ImdsSupport) },
		"boot-mode":                        func(r imageRow) []string { return one(r.Image.BootMode) },
		"creation-date":                    func(r imageRow) []string { return opt(r.Image.CreationDate) },
		"manifest-location":                func(r imageRow) []string { return opt(r.Image.ImageLocation) },
		"platform":                         func(r imageRow) []string { return one(r.Image.Platform) },
		"platform-details":                 func(r imageRow) []string { return opt(r.Image.PlatformDetails) },
		"product-code":                     func(imageRow) []string { return nil },
		"source-instance-id":               func(r imageRow) []string { return opt(r.Image.SourceInstanceId) },
		"source-image-id":                  func(r imageRow) []string { return opt(r.Image.SourceImageId) },
		"source-image-region":              func(r imageRow) []string { return opt(r.Image.SourceImageRegion) },
		"block-device-mapping.device-name": devices(func(m types.BlockDeviceMapping) []string { return opt(m.DeviceName) }),
		"block-device-mapping.snapshot-id": ebs(func(e types.EbsBlockDevice) []string { return opt(e.SnapshotId) }),
		"block-device-mapping.volume-size": ebs(func(e types.EbsBlockDevice) []string { return number(e.VolumeSize) }),
		"block-device-mapping.volume-type": ebs(func(e types.EbsBlockDevice) []string { return one(e.VolumeType) }),
		"block-device-mapping.encrypted":   ebs(func(e types.EbsBlockDevice) []string { return flag(e.Encrypted) }),
		"block-device-mapping.delete-on-termination": ebs(func(e types.EbsBlockDevice) []string { return flag(e.DeleteOnTermination) }),
	}
}

// settleImage ends an image's making once all of its snapshots have ended.
func (s *ec2Service) settleImage(w world, id string) {
	row, ok := s.images.get(w, id)
	if !ok || row.Image.State != types.ImageStatePending {
		return
	}
	state := types.ImageStateAvailable
	for _, snap := range row.snapshots() {
		from, ok := s.snapshots.get(w, snap)
		switch {
		case ok && from.Snapshot.State == types.SnapshotStatePending:
			return // its end calls this again
		case ok && from.Snapshot.State == types.SnapshotStateError:
			state = types.ImageStateFailed
			row.Image.StateReason = &types.StateReason{Code: new("Client.SnapshotError"), Message: from.Snapshot.StateMessage}
		}
	}
	row.Image.State = state
	s.images.put(w, id, row)
}
