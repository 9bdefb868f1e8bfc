package launch

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/userdata"
)

// device is how EC2 names devices that volumes can be attached as.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html
var device = regexp.MustCompile(`^/dev/(sd[b-z]([1-9]|1[0-5])?|xvd[b-d][a-z]|xvd[b-z])$`)

var instanceType = regexp.MustCompile(`^[a-z0-9-]+\.[a-z0-9-]+$`)

func (instances) check(c *checker, d definition[instanceSpec]) {
	s := d.spec
	checkRuns(c, d.Resource, s.Image, s.AMI, s.InstanceType)
	c.checkDomains(d)
	if s.KeyPair != "" && s.KeyName != "" {
		c.problems.AddHint(d.At("key_pair"), "key_pair names a definition, key_name a key pair that the account has", "an instance takes one of key_name and key_pair")
	}
	if p := s.IAMInstanceProfile; strings.HasPrefix(p, "arn:") {
		c.problems.AddHint(d.At("iam_instance_profile"), "give its name: "+arnName(p), "%q is an ARN", p)
	}
	c.checkAddresses(d.Resource, s.PrivateIP, s.SecondaryIPs, s.SecondaryCount)
	checkAttachments(c, d)
	checkInterfaces(c, d)
	checkElastic(c, d)
	checkTargetGroups(c, d)
	checkRoot(c, d.Resource, s.RootBlockDevice)
	checkDocument(c, d.Resource, s.Image, s.UserData)
}

// checkRuns checks what instances run, and on what.
func checkRuns(c *checker, r *project.Resource, image, ami, kind string) {
	if (image == "") == (ami == "") {
		c.problems.AddHint(r.Pos, "give image or ami", "%s needs one of image and ami", article(r.Kind))
	}
	if !instanceType.MatchString(kind) && !unresolved(kind) {
		c.problems.AddHint(r.At("instance_type"), "as in t3.micro", "%q is no instance type", kind)
	}
}

// article is a kind with its article, for messages.
func article(kind string) string {
	if strings.ContainsAny(kind[:1], "aeiou") {
		return "an " + strings.ReplaceAll(kind, "_", " ")
	}
	return "a " + strings.ReplaceAll(kind, "_", " ")
}

func checkRoot(c *checker, at *project.Resource, r *rootSpec) {
	if r == nil {
		return
	}
	if r.VolumeType == "" && (r.IOPS != 0 || r.Throughput != 0) {
		c.problems.Addf(at.At("root_block_device"), "iops and throughput need a volume_type")
		return
	}
	checkVolume(c, at, "root_block_device.", r.VolumeType, r.Size, r.IOPS, r.Throughput)
}

// checkElastic reports an address of the account that another instance has; of
// two that name one elastic_ip, that tells.
func checkElastic(c *checker, d definition[instanceSpec]) {
	if strings.HasPrefix(d.spec.ElasticIP, "eipalloc-") {
		c.problems.AddHint(d.At("elastic_ip"), "give the address itself, as in 203.0.113.7", "an instance takes an elastic_ip by name or as an address")
	}
	if !isAddress(d.spec.ElasticIP) {
		return
	}
	for _, other := range c.before(d.Resource) {
		if s, ok := other.Spec.(*instanceSpec); ok && s.ElasticIP == d.spec.ElasticIP {
			c.problems.Addf(d.At("elastic_ip"), "%s has the address %s already", other.Address, d.spec.ElasticIP)
		}
	}
}

func checkAttachments(c *checker, d definition[instanceSpec]) {
	zone := ""
	if s, _, ok := referred[subnetSpec](c, d.Resource, "subnet"); ok {
		zone = zoneName(c.region, s.AvailabilityZone)
	}
	devices := map[string]bool{}
	for i, a := range d.spec.Volumes {
		path := fmt.Sprintf("volumes[%d]", i)
		checkDevice(c, d.Resource, path+".device", a.Device)
		if devices[a.Device] {
			c.problems.Addf(d.At(path+".device"), "two volumes as %s", a.Device)
		}
		devices[a.Device] = true
		v, r, ok := referred[volumeSpec](c, d.Resource, path+".volume")
		if !ok {
			continue
		}
		checkSameZone(c, d.Resource, path+".volume", r, v, zone)
		c.attached(d.Resource, path+".volume", r)
	}
}

func checkDevice(c *checker, r *project.Resource, path, name string) {
	if !device.MatchString(name) && !unresolved(name) {
		c.problems.AddHint(r.At(path), "as in /dev/sdf", "%q is no device that a volume can be attached as", name)
	}
}

// checkSameZone reports a volume in another zone than its instance.
func checkSameZone(c *checker, by *project.Resource, path string, volume *project.Resource, v *volumeSpec, zone string) {
	if theirs := zoneName(c.region, v.AvailabilityZone); differentZones(theirs, zone) {
		c.problems.AddHint(by.At(path), "an instance takes volumes of its own zone only", "%s lies in zone %s, and the instance in %s", volume.Address, theirs, zone)
	}
}

// attached notes who a volume is attached to and reports a second one.
func (c *checker) attached(by *project.Resource, path string, volume *project.Resource) {
	if other := c.attachments[volume.Address]; other != nil {
		c.problems.Addf(by.At(path), "%s is attached to %s already", volume.Address, other.Address)
		return
	}
	c.attachments[volume.Address] = by
}

// checkDocument renders the user data without what is not known yet: what is
// too large already does not get smaller.
func checkDocument(c *checker, d *project.Resource, image string, s *userDataSpec) {
	if s == nil {
		return
	}
	_, err := userdata.Document{
		Project: "-", Environment: c.environment, Address: d.Address, UUID: d.UUID, Image: image, Extra: s.Extra,
	}.Render()
	var large *userdata.TooLargeError
	switch {
	case errors.As(err, &large):
		c.problems.AddHint(d.At("user_data"), "keep large values elsewhere, and give the instance their name", "the user data is %d bytes: EC2 takes %d", large.Size, userdata.Limit)
	case err != nil:
		c.problems.Addf(d.At("user_data"), "%v", err)
	}
}
