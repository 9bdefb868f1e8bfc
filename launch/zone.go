package launch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

type zoneAPI interface {
	CreateHostedZone(context.Context, *route53.CreateHostedZoneInput, ...func(*route53.Options)) (*route53.CreateHostedZoneOutput, error)
	DeleteHostedZone(context.Context, *route53.DeleteHostedZoneInput, ...func(*route53.Options)) (*route53.DeleteHostedZoneOutput, error)
	UpdateHostedZoneComment(context.Context, *route53.UpdateHostedZoneCommentInput, ...func(*route53.Options)) (*route53.UpdateHostedZoneCommentOutput, error)
	AssociateVPCWithHostedZone(context.Context, *route53.AssociateVPCWithHostedZoneInput, ...func(*route53.Options)) (*route53.AssociateVPCWithHostedZoneOutput, error)
	DisassociateVPCFromHostedZone(context.Context, *route53.DisassociateVPCFromHostedZoneInput, ...func(*route53.Options)) (*route53.DisassociateVPCFromHostedZoneOutput, error)
	ChangeTagsForResource(context.Context, *route53.ChangeTagsForResourceInput, ...func(*route53.Options)) (*route53.ChangeTagsForResourceOutput, error)
	dnsListAPI
}

type zoneSpec struct {
	Domain    string        `yaml:"domain" alias:"domain_name" required:"true" change:"replaces" doc:"The domain that the zone is of: example.com."`
	Comment   string        `yaml:"comment" doc:"What the zone is for."`
	VPCs      []string      `yaml:"vpcs" ref:"vpc" doc:"VPCs that a private zone is seen in: names, or IDs of others in the environment's region. Without any the zone is public. A zone stays private or public: the other is made anew."`
	OtherVPCs []zoneVPCSpec `yaml:"other_vpcs" doc:"VPCs of other regions that a private zone is seen in."`
}

type zoneVPCSpec struct {
	VPCID     string `yaml:"vpc_id" required:"true" doc:"ID of the VPC."`
	VPCRegion string `yaml:"vpc_region" required:"true" pattern:"^([a-z]{2}(-[a-z]+)+-[0-9]+|.*\\$\\{.*)$" doc:"Its region."`
}

// private tells whether the zone is seen in VPCs alone.
func (s *zoneSpec) private() bool { return len(s.VPCs)+len(s.OtherVPCs) > 0 }

// associations are the VPCs of a definition, in order.
func (s *zoneSpec) associations(region string) []types.VPC {
	var list []types.VPC
	for _, id := range s.VPCs {
		list = append(list, types.VPC{VPCId: aws.String(id), VPCRegion: types.VPCRegion(region)})
	}
	for _, v := range s.OtherVPCs {
		list = append(list, types.VPC{VPCId: aws.String(v.VPCID), VPCRegion: types.VPCRegion(v.VPCRegion)})
	}
	return list
}

// byVPC are associations by the VPC as people read it: its ID, with its region
// where that is another one.
func byVPC(list []types.VPC, region string) map[string]types.VPC {
	all := map[string]types.VPC{}
	for _, v := range list {
		key := aws.ToString(v.VPCId)
		if string(v.VPCRegion) != region {
			key += " in " + string(v.VPCRegion)
		}
		all[key] = v
	}
	return all
}

type zones struct{ inRoute53 }

func (zones) api(c *cloud.Cloud) zoneAPI { return c.Route53 }

func (zones) about() project.Kind {
	return project.Kind{Name: "zone", Doc: "A hosted zone of Route 53: the names of a domain, for everyone or for VPCs alone. One that holds records which Goldline did not make is not deleted.",
		Attributes: []string{"id", "name", "domain", "private", "name_servers"}, Owners: map[string]string{"vpc": "vpc"}}
}

func (zones) check(c *checker, d definition[zoneSpec]) {
	c.domain(d.Resource, "domain", d.spec.Domain)
	if len(d.spec.Comment) > 256 {
		c.problems.Addf(d.At("comment"), "comment is %d characters long: Route 53 takes 256", len(d.spec.Comment))
	}
	for _, other := range c.before(d.Resource) {
		s, ok := other.Spec.(*zoneSpec)
		if ok && other.Adopt == nil && d.Adopt == nil && d.spec.Domain != "" && sameDomain(s.Domain, d.spec.Domain) && !s.private() && !d.spec.private() {
			c.problems.Addf(d.At("domain"), "%s is a public zone of the same domain: a domain is delegated to one", other.Address)
		}
	}
}

func (zones) foresee(w want[zoneSpec]) map[string]string {
	domain := plainDomain(w.spec.Domain)
	return map[string]string{"name": domain, "domain": domain, "private": strconv.FormatBool(w.spec.private())}
}

// list gives the environment's zones, or those that definitions may adopt.
func (zones) list(ctx context.Context, q query) ([]hostedZone, error) {
	all, err := q.hostedZones(ctx)
	return slices.DeleteFunc(slices.Clone(all), func(z hostedZone) bool { return len(q.adopting) == 0 && !q.importing && z.reference.uuid == "" }), err
}

func (zones) read(z hostedZone) state {
	s := state{id: z.id(), tags: tags.Merge(z.tags), attributes: map[string]string{
		"name": z.domain(), "domain": z.domain(), "private": strconv.FormatBool(z.private()), "name_servers": strings.Join(z.nameServers(), ", ")}}
	for _, v := range z.vpcs {
		s.uses = append(s.uses, aws.ToString(v.VPCId))
	}
	if z.reference.uuid != "" {
		s.identity = identity{uuid: z.reference.uuid, address: z.tags[tags.Address]}
		s.tags[tags.Generation] = strconv.Itoa(z.reference.generation)
	}
	return s
}

// nameServers are those that the zone's own NS record names.
func (z hostedZone) nameServers() []string {
	for _, set := range z.records {
		if set.Type == types.RRTypeNs && aws.ToString(set.Name) == aws.ToString(z.Name) {
			return valuesOf(set)
		}
	}
	return nil
}

func (zones) compare(w want[zoneSpec], z hostedZone) (d differences) {
	d.fixed("domain", z.domain(), plainDomain(w.spec.Domain), "")
	if w.spec.private() != z.private() && !w.leaves("vpcs") {
		d = append(d, difference{path: "vpcs", old: publicity(z.private()), new: publicity(w.spec.private()), replace: "a " + publicity(z.private()) + " zone stays " + publicity(z.private())})
		return d
	}
	comment := ""
	if z.Config != nil {
		comment = aws.ToString(z.Config.Comment)
	}
	d.set("comment", comment, w.spec.Comment)
	have, wanted := byVPC(z.vpcs, w.world.region), byVPC(w.spec.associations(w.world.region), w.world.region)
	for _, v := range union(have, wanted) {
		old, new := "", ""
		if _, ok := have[v]; ok {
			old = v
		}
		if _, ok := wanted[v]; ok {
			new = v
		}
		d.set("vpcs", old, new)
	}
	return d
}

func publicity(private bool) string {
	if private {
		return "private"
	}
	return "public"
}

func (k zones) create(ctx context.Context, t *task, w want[zoneSpec]) (hostedZone, error) {
	in := &route53.CreateHostedZoneInput{
		Name: aws.String(plainDomain(w.spec.Domain)), CallerReference: aws.String(t.callerReference()),
		HostedZoneConfig: &types.HostedZoneConfig{Comment: optional(w.spec.Comment), PrivateZone: w.spec.private()},
	}
	var vpcs []types.VPC
	if w.spec.private() {
		vpcs = w.spec.associations(t.region)[:1]
		in.VPC = &vpcs[0]
	}
	out, err := k.api(t.Cloud).CreateHostedZone(ctx, in)
	if cloud.Code(err) == "HostedZoneAlreadyExists" { // a try of this run, whose answer was lost
		return k.made(ctx, t, aws.ToString(in.CallerReference), err)
	}
	if err != nil {
		return hostedZone{}, err
	}
	t.begun = aws.ToString(out.HostedZone.Id)
	z := hostedZone{HostedZone: *out.HostedZone, vpcs: vpcs, tags: t.birthSet()}
	z.reference, _ = t.readReference(aws.ToString(in.CallerReference))
	if out.DelegationSet != nil {
		ns := types.ResourceRecordSet{Name: z.Name, Type: types.RRTypeNs}
		for _, server := range out.DelegationSet.NameServers {
			ns.ResourceRecords = append(ns.ResourceRecords, types.ResourceRecord{Value: aws.String(server)})
		}
		z.records = []types.ResourceRecordSet{ns}
	}
	return z, k.retag(ctx, t.Cloud, []hostedZone{z}, z.tags)
}

// made is the zone of a caller reference, as soon as lists show it.
func (k zones) made(ctx context.Context, t *task, reference string, cause error) (hostedZone, error) {
	var z hostedZone
	err := t.eventually(ctx, func() error {
		list, err := k.list(ctx, t.query())
		for _, z = range list {
			if aws.ToString(z.CallerReference) == reference {
				return nil
			}
		}
		if err != nil {
			return err
		}
		return &types.NoSuchHostedZone{Message: aws.String("the zone that was made cannot be seen yet")}
	})
	if cloud.NotFound(err) {
		return hostedZone{}, cause
	}
	if err != nil {
		return hostedZone{}, err
	}
	set := t.birthSet()
	z.tags = tags.Merge(z.tags, set)
	return z, k.retag(ctx, t.Cloud, []hostedZone{z}, set)
}

func (k zones) update(ctx context.Context, t *task, w want[zoneSpec], z hostedZone, d differences) error {
	api := k.api(t.Cloud)
	if d.has("comment") {
		if _, err := api.UpdateHostedZoneComment(ctx, &route53.UpdateHostedZoneCommentInput{Id: aws.String(z.id()), Comment: optional(w.spec.Comment)}); err != nil {
			return fmt.Errorf("comment: %w", err)
		}
	}
	if !d.has("vpcs") {
		return nil
	}
	have, wanted := byVPC(z.vpcs, t.region), byVPC(w.spec.associations(t.region), t.region)
	for _, v := range union(wanted) { // first: a private zone is never without a VPC
		if _, ok := have[v]; !ok {
			if err := k.associate(ctx, t, z, wanted[v]); err != nil {
				return fmt.Errorf("associate %s: %w", v, err)
			}
		}
	}
	for _, v := range union(have) {
		if _, ok := wanted[v]; ok {
			continue
		}
		gone := have[v]
		_, err := api.DisassociateVPCFromHostedZone(ctx, &route53.DisassociateVPCFromHostedZoneInput{HostedZoneId: aws.String(z.id()), VPC: &gone})
		if err != nil && cloud.Code(err) != "VPCAssociationNotFound" {
			return fmt.Errorf("disassociate %s: %w", v, err)
		}
	}
	return nil
}

// associate lets a VPC see the zone. Route 53 refuses to do so twice in the
// words for another zone of the same domain.
func (k zones) associate(ctx context.Context, t *task, z hostedZone, v types.VPC) error {
	_, err := k.api(t.Cloud).AssociateVPCWithHostedZone(ctx, &route53.AssociateVPCWithHostedZoneInput{HostedZoneId: aws.String(z.id()), VPC: &v})
	if cloud.Code(err) != "ConflictingDomainExists" {
		return err
	}
	now, lookErr := k.api(t.Cloud).GetHostedZone(ctx, &route53.GetHostedZoneInput{Id: aws.String(z.id())})
	if lookErr == nil && slices.ContainsFunc(now.VPCs, func(x types.VPC) bool { return aws.ToString(x.VPCId) == aws.ToString(v.VPCId) }) {
		return nil
	}
	return err
}

// maxTagsACall is how many tags Route 53 takes in a call.
const maxTagsACall = 10

func (k zones) retag(ctx context.Context, c *cloud.Cloud, have []hostedZone, set map[string]string) error {
	set = tags.Plain(set)
	for _, z := range have {
		err := cloud.Batches(tags.Keys(set), maxTagsACall, func(keys []string) error {
			in := &route53.ChangeTagsForResourceInput{ResourceType: types.TagResourceTypeHostedzone, ResourceId: aws.String(z.id())}
			for _, key := range keys {
				in.AddTags = append(in.AddTags, types.Tag{Key: aws.String(key), Value: aws.String(set[key])})
			}
			_, err := k.api(c).ChangeTagsForResource(ctx, in)
			return err
		})
		if err != nil {
			return fmt.Errorf("tags: %w", err)
		}
	}
	return nil
}

// keeps reports records that something else has put into the zone.
func (zones) keeps(_ context.Context, _ *cloud.Cloud, z hostedZone) error {
	return foreignIn(z.domain(), z.records)
}

func foreignIn(domain string, records []types.ResourceRecordSet) error {
	const shown = 10
	var names []string
	owners := ownersOf(records)
	for _, set := range records {
		if !ownRecord(set, domain) && !isMarker(set) && owners[keyOf(set)] == nil {
			names = append(names, keyOf(set).String())
		}
	}
	if len(names) == 0 {
		return nil
	}
	more := ""
	if len(names) > shown {
		more = fmt.Sprintf(" and %d others", len(names)-shown)
	}
	return fail.WithHint(fail.Inputf("zone %s holds records that Goldline did not make: %s%s", domain, strings.Join(names[:min(shown, len(names))], ", "), more),
		"move or delete them, then run the same command again")
}

// ownRecord tells whether a record is one of the two that Route 53 makes with a
// zone.
func ownRecord(set types.ResourceRecordSet, domain string) bool {
	return sameDomain(aws.ToString(set.Name), domain) && (set.Type == types.RRTypeNs || set.Type == types.RRTypeSoa)
}

func (k zones) remove(ctx context.Context, t *task, z hostedZone) error {
	_, err := k.api(t.Cloud).DeleteHostedZone(ctx, &route53.DeleteHostedZoneInput{Id: aws.String(z.id())})
	switch {
	case cloud.NotFound(err):
		return nil
	case cloud.Code(err) == "HostedZoneNotEmpty": // records that came since the plan was made
		if records, lookErr := listRecords(ctx, k.api(t.Cloud), z.id()); lookErr == nil {
			return fail.Join(err, foreignIn(z.domain(), records))
		}
	}
	return err
}
