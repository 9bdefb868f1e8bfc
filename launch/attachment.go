package launch

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// An attachment has neither an ID nor tags of its own: what EC2 knows of it is
// part of the volume. So it is found by its volume, and one whose definition is
// gone shows as a change of its instance, which then has a volume too many.

type attachmentKindSpec struct {
	Volume   string `yaml:"volume" ref:"volume" required:"true" change:"replaces" doc:"The volume."`
	Instance string `yaml:"instance" ref:"instance" required:"true" doc:"The instance that it is attached to, in the volume's zone."`
	Device   string `yaml:"device" required:"true" doc:"The device that it is attached as: /dev/sdf."`
}

// attachment is a volume on an instance.
type attachment struct {
	volume, instance, device string
	uuid, address            string // of the definition
	generation               string // the volume's
}

type attachments struct{}

func (attachments) about() project.Kind {
	return project.Kind{Name: "attachment", Doc: "A volume on an instance, as a definition of its own: for a volume and an instance that are defined in different places.",
		Attributes: []string{"id", "device"}}
}

func (attachments) check(c *checker, d definition[attachmentKindSpec]) {
	checkDevice(c, d.Resource, "device", d.spec.Device)
	v, volume, ok := referred[volumeSpec](c, d.Resource, "volume")
	if ok {
		c.attached(d.Resource, "volume", volume)
	}
	i, to, found := referred[instanceSpec](c, d.Resource, "instance")
	if !found {
		return
	}
	if s, _, there := referred[subnetSpec](c, to, "subnet"); ok && there {
		checkSameZone(c, d.Resource, "volume", volume, v, zoneName(c.region, s.AvailabilityZone))
	}
	for _, a := range i.Volumes {
		if a.Device == d.spec.Device {
			c.problems.Addf(d.At("device"), "%s has another volume as %s", to.Address, a.Device)
		}
	}
	for _, other := range c.before(d.Resource) {
		if s, ok := other.Spec.(*attachmentKindSpec); ok && s.Device == d.spec.Device && c.target(other, "instance") == to.Address {
			c.problems.Addf(d.At("device"), "%s is on %s as %s already", other.Address, to.Address, s.Device)
		}
	}
}

// list finds attachments on the environment's volumes.
func (attachments) list(ctx context.Context, q query) ([]attachment, error) {
	if len(q.attachments) == 0 {
		return nil, nil
	}
	list, err := volumes{}.list(ctx, q)
	if err != nil {
		return nil, err
	}
	var all []attachment
	for _, v := range list {
		set := cloud.TagSet(v.Tags)
		r := q.attachments[set[tags.Address]]
		on := attachedOn(v)
		if r == nil || on == "" {
			continue
		}
		a := attachment{volume: aws.ToString(v.VolumeId), instance: on, uuid: r.UUID, address: r.Address, generation: set[tags.Generation]}
		for _, x := range v.Attachments {
			if aws.ToString(x.InstanceId) == on {
				a.device = aws.ToString(x.Device)
			}
		}
		all = append(all, a)
	}
	return all, nil
}

func (attachments) read(a attachment) state {
	return state{
		id: a.volume + ":" + a.instance, uses: []string{a.volume, a.instance}, stops: []string{a.instance},
		tags:       map[string]string{tags.UUID: a.uuid, tags.Address: a.address, tags.Generation: a.generation},
		attributes: map[string]string{"device": a.device}, untagged: true,
	}
}

func (attachments) compare(w want[attachmentKindSpec], a attachment) (d differences) {
	d.fixed("volume", a.volume, w.spec.Volume, "")
	d.set("instance", a.instance, w.spec.Instance)
	d.set("device", a.device, w.spec.Device)
	return d
}

// excludes: a device holds one volume.
func (attachments) excludes(w want[attachmentKindSpec], a attachment) bool {
	return a.instance == w.spec.Instance && a.device == w.spec.Device && a.volume != w.spec.Volume
}

func (k attachments) create(ctx context.Context, t *task, w want[attachmentKindSpec]) (attachment, error) {
	a := attachment{volume: w.spec.Volume, instance: w.spec.Instance, device: w.spec.Device, uuid: w.UUID, address: w.Address}
	return a, k.attach(ctx, t, w, w.spec.Instance)
}

// update moves the volume. The instance that has it is stopped for that, so
// that all it has written reaches the volume.
func (k attachments) update(ctx context.Context, t *task, w want[attachmentKindSpec], a attachment, d differences) error {
	but := w.spec.Instance
	if d.has("device") {
		but = ""
	}
	if err := k.attach(ctx, t, w, but); err != nil {
		// What was stopped for this serves again, with or without the volume.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreDeadline)
		defer cancel()
		return fail.Join(err, k.startAgain(ctx, t, a.instance))
	}
	if a.instance == w.spec.Instance || replaced(t, w, a.instance) {
		return nil
	}
	return k.startAgain(ctx, t, a.instance)
}

// replaced tells whether an instance is the predecessor of the one that is to
// have the volume, and so need not run again.
func replaced(t *task, w want[attachmentKindSpec], instance string) bool {
	f := t.inventory.byID[instance]
	for _, ref := range w.Refs {
		if ref.Path == "instance" && f != nil {
			return f.address() == ref.Address
		}
	}
	return true // none of ours
}

func (attachments) attach(ctx context.Context, t *task, w want[attachmentKindSpec], but string) error {
	servers := instances{}
	if err := servers.release(ctx, t, w.spec.Volume, but); err != nil {
		return err
	}
	if err := servers.attach(ctx, t, w.spec.Volume, w.spec.Instance, w.spec.Device); err != nil {
		return err
	}
	return attachments{}.startAgain(ctx, t, w.spec.Instance)
}

// startAgain starts an instance that was stopped to free a volume.
func (attachments) startAgain(ctx context.Context, t *task, id string) error {
	now, err := t.instance(ctx, id, "be seen", runDeadline, func(_ types.Instance, found bool) (bool, error) { return found, nil })
	if err != nil {
		return err
	}
	if s := stateSeen(now); s == types.InstanceStateNameStopped || s == types.InstanceStateNameStopping {
		return instances{}.start(ctx, t, id)
	}
	return nil
}

// settle gives the attachment as it now is.
func (attachments) settle(ctx context.Context, t *task, a attachment) (attachment, error) {
	list, err := volumes{}.list(ctx, query{cloud: t.Cloud, filters: []types.Filter{cloud.Filter("volume-id", a.volume)}})
	if err != nil {
		return a, err
	}
	for _, v := range list {
		if on := attachedOn(v); on != "" {
			a.instance = on
			return a, nil
		}
	}
	return a, fmt.Errorf("volume %s is on no instance", a.volume)
}

func (attachments) fresh(attachment) bool { return false }

// remove frees the volume; its instance is stopped for that.
func (attachments) remove(ctx context.Context, t *task, a attachment) error {
	return instances{}.release(ctx, t, a.volume, "")
}

// attachedBy tells whether a definition of its own attaches a volume, so that
// it is none of its instance's business.
func (w *world) attachedBy(volume string) bool {
	f := w.inventory.byID[volume]
	return f != nil && w.attachmentsDefined()[f.tags[tags.Address]] != nil
}

// attachmentsDefined are the attachments by the addresses of their volumes.
func (w *world) attachmentsDefined() map[string]*project.Resource {
	all := map[string]*project.Resource{}
	for _, r := range w.resources() {
		if _, ok := r.Spec.(*attachmentKindSpec); !ok {
			continue
		}
		for _, ref := range r.Refs {
			if ref.Path == "volume" {
				all[ref.Address] = r
			}
		}
	}
	return all
}
