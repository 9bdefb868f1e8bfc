package launch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Route 53 finds nothing by tags and takes none in the call that makes a zone,
// so a zone's identity stands in its caller reference, which Route 53 keeps and
// shows in every list. A record carries nothing but itself: beside each that it
// makes, in the same atomic change, Goldline puts a TXT record that says whose it
// is. What has none is somebody else's, in whosever zone it stands.
//
// A launch does not wait until a change has reached all name servers: Route 53's
// own answers show it at once, nothing in a launch asks a name server, and each
// look at a change would cost one of the account's five calls a second.

type dnsListAPI interface {
	ListHostedZones(context.Context, *route53.ListHostedZonesInput, ...func(*route53.Options)) (*route53.ListHostedZonesOutput, error)
	GetHostedZone(context.Context, *route53.GetHostedZoneInput, ...func(*route53.Options)) (*route53.GetHostedZoneOutput, error)
	ListResourceRecordSets(context.Context, *route53.ListResourceRecordSetsInput, ...func(*route53.Options)) (*route53.ListResourceRecordSetsOutput, error)
	ListTagsForResources(context.Context, *route53.ListTagsForResourcesInput, ...func(*route53.Options)) (*route53.ListTagsForResourcesOutput, error)
}

// dnsKinds are the kinds of Route 53.
var dnsKinds = []string{"zone", "record"}

// hostedZone is a zone with what further calls give.
type hostedZone struct {
	types.HostedZone
	reference zoneReference // of this environment's zones
	tags      map[string]string
	vpcs      []types.VPC
	records   []types.ResourceRecordSet
}

func (z hostedZone) id() string { return zoneID(z.Id) }

// domain is the zone's name without the dot at its end.
func (z hostedZone) domain() string { return plainDomain(aws.ToString(z.Name)) }

func (z hostedZone) private() bool { return z.Config != nil && z.Config.PrivateZone }

// zoneID is the ID without the path that Route 53 puts before it.
func zoneID(id *string) string {
	text := aws.ToString(id)
	return text[strings.LastIndexByte(text, '/')+1:]
}

// zoneReference is what a caller reference says: which environment's zone it
// is, which definition's, and which try to make it.
type zoneReference struct {
	uuid       string
	generation int
}

// referencePrefix begins the caller references of an environment's zones.
func (w *world) referencePrefix() string {
	sum := sha256.Sum256([]byte(w.Project + "/" + w.environment))
	return "goldline/" + hex.EncodeToString(sum[:8]) + "/"
}

// callerReference is that of a zone which is to be made. Route 53 never takes one
// again, also when its zone is gone: the run's time tells launches apart.
func (t *task) callerReference() string {
	return t.referencePrefix() + t.uuid + "/" + strconv.Itoa(t.generation) + "/" + strconv.FormatInt(t.started.UnixMilli(), 36)
}

func (w *world) readReference(text string) (r zoneReference, ok bool) {
	rest, ok := strings.CutPrefix(text, w.referencePrefix())
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 {
		return r, false
	}
	n, err := strconv.Atoi(parts[1])
	return zoneReference{parts[0], n}, err == nil
}

// hostedZones are the zones that a query may be about, with their records: the
// environment's own, those that definitions adopt, and those that records name
// by ID. All of the account are listed; more is asked about these alone.
func (q query) hostedZones(ctx context.Context) ([]hostedZone, error) {
	return recall(q.shared, "hosted zones", func() ([]hostedZone, error) {
		all, err := q.listZones(ctx)
		if err != nil {
			return nil, q.unlessUnused(err, dnsKinds...)
		}
		var some []hostedZone
		for _, z := range all {
			if z.reference.uuid != "" || q.importing || q.named(z) || q.mayAdopt(z) {
				some = append(some, z)
			}
		}
		if err := q.zoneTags(ctx, some); err != nil {
			return nil, fmt.Errorf("tags: %w", err)
		}
		some = slices.DeleteFunc(some, func(z hostedZone) bool { return z.reference.uuid == "" && !q.importing && !q.named(z) && !q.adopted(z) })
		err = graph.Each(ctx, 0, len(some), func(ctx context.Context, i int) error { return q.readZone(ctx, &some[i]) })
		return some, err
	})
}

func (q query) dns() dnsListAPI { return q.cloud.Route53 }

func (q query) listZones(ctx context.Context) ([]hostedZone, error) {
	var all []hostedZone
	in := &route53.ListHostedZonesInput{}
	for {
		out, err := q.dns().ListHostedZones(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, z := range out.HostedZones {
			reference, _ := q.world.readReference(aws.ToString(z.CallerReference))
			all = append(all, hostedZone{HostedZone: z, reference: reference})
		}
		if !out.IsTruncated {
			return all, nil
		}
		in.Marker = out.NextMarker
	}
}

// named tells whether a definition gives a zone's ID.
func (q query) named(z hostedZone) bool {
	return slices.ContainsFunc(q.world.resources(), func(r *project.Resource) bool {
		s, ok := r.Spec.(*recordSpec)
		return ok && s.Zone == z.id()
	})
}

// mayAdopt tells whether a definition may mean a zone whose tags are not known
// yet.
func (q query) mayAdopt(z hostedZone) bool {
	return slices.ContainsFunc(q.world.resources(), func(r *project.Resource) bool {
		if r.Kind != "zone" || r.Adopt == nil {
			return false
		}
		anyTags := project.Adopt{Keys: r.Adopt.Keys}
		return adopts(&anyTags, &found{state: zones{}.read(z)})
	})
}

func (q query) adopted(z hostedZone) bool {
	return slices.ContainsFunc(q.world.resources(), func(r *project.Resource) bool {
		return r.Kind == "zone" && r.Adopt != nil && adopts(r.Adopt, &found{state: zones{}.read(z)})
	})
}

// zoneTags reads tags, of ten zones in a call, where they matter.
func (q query) zoneTags(ctx context.Context, list []hostedZone) error {
	byTags := slices.ContainsFunc(q.world.resources(), func(r *project.Resource) bool {
		return r.Kind == "zone" && r.Adopt != nil && (len(r.Adopt.Tags) > 0 || len(r.Tags) > 0)
	})
	at := map[string]int{}
	var ids []string
	for i, z := range list {
		if z.reference.uuid != "" || q.importing || byTags {
			at[z.id()] = i
			ids = append(ids, z.id())
		}
	}
	return cloud.Batches(ids, 10, func(ids []string) error {
		out, err := q.dns().ListTagsForResources(ctx, &route53.ListTagsForResourcesInput{ResourceType: types.TagResourceTypeHostedzone, ResourceIds: ids})
		if err != nil {
			return err
		}
		for _, set := range out.ResourceTagSets {
			z := &list[at[zoneID(set.ResourceId)]]
			z.tags = map[string]string{}
			for _, t := range set.Tags {
				z.tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
			z.tags = tags.FromPlain(z.tags)
		}
		return nil
	})
}

// readZone reads a zone's records and, of a private one, its VPCs.
func (q query) readZone(ctx context.Context, z *hostedZone) error {
	var err error
	if z.private() {
		out, err := q.dns().GetHostedZone(ctx, &route53.GetHostedZoneInput{Id: aws.String(z.id())})
		if err != nil {
			return fmt.Errorf("zone %s: %w", z.domain(), err)
		}
		z.vpcs = out.VPCs
	}
	if z.records, err = listRecords(ctx, q.dns(), z.id()); err != nil {
		return fmt.Errorf("records of zone %s: %w", z.domain(), err)
	}
	return nil
}

func listRecords(ctx context.Context, api dnsListAPI, zone string) ([]types.ResourceRecordSet, error) {
	var all []types.ResourceRecordSet
	in := &route53.ListResourceRecordSetsInput{HostedZoneId: aws.String(zone), MaxItems: aws.Int32(300)}
	for {
		out, err := api.ListResourceRecordSets(ctx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, out.ResourceRecordSets...)
		if !out.IsTruncated {
			return all, nil
		}
		in.StartRecordName, in.StartRecordType, in.StartRecordIdentifier = out.NextRecordName, out.NextRecordType, out.NextRecordIdentifier
	}
}
