package launch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

type recordSpec struct {
	Zone          string     `yaml:"zone" ref:"zone" required:"true" change:"replaces" doc:"The zone that the record stands in: a name, or the ID of one of another environment."`
	Domain        string     `yaml:"domain" required:"true" change:"replaces" doc:"The name that it is for: www.example.com, www for that in the zone, @ for the zone's own, *.example.com for all that have none."`
	Type          string     `yaml:"type" enum:"A,AAAA,CNAME,TXT,MX,NS,SRV,CAA" change:"replaces" default:"A" doc:"What the values are."`
	TTL           int        `yaml:"ttl" min:"1" max:"2147483647" default:"300" doc:"For how many seconds others may keep an answer."`
	Values        []string   `yaml:"values" alias:"records,resource_records" doc:"The values: addresses, names, text, with references such as ${instance.web.private_ip}. Text needs no quotation marks; of mail, \"10 mail.example.com\"."`
	Alias         *aliasSpec `yaml:"alias" doc:"What an A or AAAA record stands for, in the place of values."`
	SetIdentifier string     `yaml:"set_identifier" change:"replaces" doc:"Tells records of one name and type apart that share its traffic by weight."`
	Weight        *int       `yaml:"weight" min:"0" max:"255" doc:"The share of this one among those of its name and type."`
}

type aliasSpec struct {
	LoadBalancer         string `yaml:"load_balancer" ref:"load_balancer" attribute:"dns_name" doc:"A load balancer of this topology."`
	Record               string `yaml:"record" ref:"record" attribute:"domain" doc:"Another record of the same zone."`
	DomainName           string `yaml:"domain_name" doc:"The name of something else, with zone_id."`
	ZoneID               string `yaml:"zone_id" doc:"The hosted zone that its service has for such names: of a load balancer, ${load_balancer.NAME.canonical_hosted_zone_id}."`
	EvaluateTargetHealth bool   `yaml:"evaluate_target_health" doc:"Whether the record counts only while its target is well."`
}

// defaultTTL is how many seconds a record is kept where nothing is stated.
const defaultTTL = 300

func (s *recordSpec) kind() types.RRType {
	if s.Type == "" {
		return types.RRTypeA
	}
	return types.RRType(s.Type)
}

// values are those of a definition in one form. One reference may give several
// name servers.
func (s *recordSpec) values() []string {
	var list []string
	for _, v := range s.Values {
		parts := []string{v}
		if s.kind() == types.RRTypeNs {
			parts = strings.Split(v, ", ")
		}
		for _, part := range parts {
			list = append(list, normalValue(s.kind(), part))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// target is an alias as Route 53 takes it.
func (a *aliasSpec) target(zone string) *types.AliasTarget {
	t := &types.AliasTarget{HostedZoneId: aws.String(a.ZoneID), EvaluateTargetHealth: a.EvaluateTargetHealth}
	switch {
	case a.Record != "":
		t.HostedZoneId, t.DNSName = aws.String(zone), aws.String(a.Record)
	case a.LoadBalancer != "":
		t.DNSName = aws.String(a.LoadBalancer)
	default:
		t.DNSName = aws.String(a.DomainName)
	}
	return t
}

// record is a record set in its zone, with its marker.
type record struct {
	types.ResourceRecordSet
	zone     string // its ID
	owner    *owner // nil for one that something else made
	identity map[string]string
}

func (r record) id() string {
	return r.zone + "/" + strings.ReplaceAll(keyOf(r.ResourceRecordSet).String(), " ", "/")
}

type records struct{}

// named: a record is the one of its name, and carries no generation.
func (records) named() {}

func (records) about() project.Kind {
	return project.Kind{Name: "record", Doc: "A name in a zone and what it stands for. A TXT record beside it, _goldline-TYPE.NAME, says that Goldline made it: what has none is never changed, and never deleted.",
		Attributes: []string{"id", "domain", "type", "set_identifier"}, Owners: map[string]string{"zone": "zone"}}
}

// zoneOf is the zone that a record's definition names.
func (w *world) zoneOf(r *project.Resource) *project.Resource {
	for _, ref := range r.Refs {
		if ref.Path == "zone" && ref.Kind == "zone" {
			return w.book.definition(w.Topology, ref.Address)
		}
	}
	if r.Adopt != nil && r.Adopt.Owners["zone"].Address != "" {
		return w.book.definition(w.Topology, r.Adopt.Owners["zone"].Address)
	}
	return nil
}

// zoneDomain is the domain that a zone's definition states, as far as it does.
func zoneDomain(r *project.Resource) string {
	s, ok := r.Spec.(*zoneSpec)
	switch {
	case !ok:
		return ""
	case s.Domain != "":
		return plainDomain(s.Domain)
	case r.Adopt == nil:
		return ""
	case r.Adopt.Keys["domain"] != "":
		return plainDomain(r.Adopt.Keys["domain"])
	}
	return plainDomain(r.Adopt.Keys["name"])
}

// domainOf is the full name of a definition's record.
func (w *world) domainOf(r *project.Resource, s *recordSpec) string {
	z := w.zoneOf(r)
	if z == nil {
		return fullDomain(s.Domain, w.book.domain(s.Zone))
	}
	if d := zoneDomain(z); d != "" || z.Adopt == nil {
		return fullDomain(s.Domain, d)
	}
	return fullDomain(s.Domain, w.book.domain(w.book.zone(z.UUID)))
}

// zoneIDOf is the ID of a definition's zone, as far as there is one.
func (w *world) zoneIDOf(r *project.Resource, s *recordSpec) string {
	if z := w.zoneOf(r); z != nil {
		return w.book.zone(z.UUID)
	}
	return s.Zone
}

func (w *world) recordKey(r *project.Resource, s *recordSpec) recordKey {
	return recordKey{w.domainOf(r, s), s.kind(), s.SetIdentifier}
}

func (records) foresee(w want[recordSpec]) map[string]string {
	return map[string]string{"domain": w.world.domainOf(w.Resource, w.spec), "type": string(w.spec.kind()), "set_identifier": w.spec.SetIdentifier}
}

// refuse reports what only the plan can tell: a record that is there already and
// somebody else's.
func (records) refuse(w want[recordSpec]) error {
	if w.Adopt != nil {
		return nil
	}
	key := w.world.recordKey(w.Resource, w.spec)
	other, there := w.world.book.taken(placedKey{w.spec.Zone, key})
	if !there {
		return nil
	}
	whose := "Goldline did not make it"
	if other != nil {
		whose = fmt.Sprintf("environment %s of project %s has made it", other.environment, other.project)
	}
	return fail.WithHint(fmt.Errorf("%s is there already in zone %s, and %s", key, w.spec.Zone, whose),
		"delete it, give the definition another name, or tie it to what is there with `adopt: {domain: %s, type: %s}`", key.domain, key.kind)
}

// list gives the records of the environment's zones that carry its marker; to
// adopt, those of the zones that the definitions name, whosever they are.
func (records) list(ctx context.Context, q query) ([]record, error) {
	all, err := q.hostedZones(ctx)
	if err != nil {
		return nil, err
	}
	q.world.book.learn(q.world, all)
	wanted := q.world.wantedRecords()
	var list []record
	for _, z := range all {
		owners := ownersOf(z.records)
		for _, set := range z.records {
			o := owners[keyOf(set)]
			switch {
			case isMarker(set):
			case q.importing && !ownRecord(set, z.domain()):
				list = append(list, record{ResourceRecordSet: set, zone: z.id(), owner: o, identity: o.identityTags()})
			case len(q.adopting) > 0 && !q.world.owns(o) && wanted.adopts(z.id()):
				list = append(list, record{ResourceRecordSet: set, zone: z.id(), owner: o})
			case len(q.adopting) == 0 && q.world.owns(o):
				list = append(list, record{ResourceRecordSet: set, zone: z.id(), owner: o, identity: o.identityTags()})
			}
		}
	}
	if len(q.adopting) == 0 && !q.importing {
		wanted.identify(list, q.exact)
	}
	return list, nil
}

// wantedRecords are the definitions of records by where each stands, and by
// address.
type wantedRecords struct {
	world     *world
	byPlace   map[placedKey]*project.Resource
	byAddress map[string]*project.Resource
}

func (w *world) wantedRecords() wantedRecords {
	all := wantedRecords{w, map[placedKey]*project.Resource{}, map[string]*project.Resource{}}
	for _, r := range w.resources() {
		if s, ok := r.Spec.(*recordSpec); ok {
			all.byAddress[r.Address] = r
			if zone := w.zoneIDOf(r, s); zone != "" && r.Adopt == nil {
				all.byPlace[placedKey{zone, w.recordKey(r, s)}] = r
			}
		}
	}
	return all
}

// adopts tells whether a definition adopts a record of a zone.
func (a wantedRecords) adopts(zone string) bool {
	for _, r := range a.byAddress {
		if r.Adopt == nil {
			continue
		}
		if z := a.world.zoneOf(r); z != nil && a.world.book.mayBe(z.UUID, zone) || r.Spec.(*recordSpec).Zone == zone {
			return true
		}
	}
	return false
}

// identify says which definition each record is of: of that which wants it where
// it is, whatever its marker says, and otherwise of that which it was made for,
// unless there is one for that already. exact leaves the others without.
func (a wantedRecords) identify(list []record, exact bool) {
	there := map[string]bool{}
	for i, r := range list {
		if d := a.byPlace[placedKey{r.zone, keyOf(r.ResourceRecordSet)}]; d != nil {
			list[i].identity[tags.Address], list[i].identity[tags.UUID] = d.Address, d.UUID
			there[d.Address] = true
		}
	}
	for i, r := range list {
		d := a.byAddress[r.owner.address]
		if r.identity[tags.UUID] == "" && d != nil && !there[d.Address] && !exact {
			list[i].identity[tags.UUID] = d.UUID
			there[d.Address] = true
		}
	}
}

func (records) read(r record) state {
	k := keyOf(r.ResourceRecordSet)
	return state{id: r.id(), tags: tags.Merge(r.identity), untagged: true, uses: []string{r.zone},
		attributes: map[string]string{"domain": k.domain, "name": k.domain, "type": string(k.kind), "set_identifier": k.set}}
}

func (records) compare(w want[recordSpec], r record) (d differences) {
	k := keyOf(r.ResourceRecordSet)
	reason := "its zone is made anew"
	if domain := w.world.book.domain(w.spec.Zone); domain != "" {
		reason = fmt.Sprintf("zone: %s -> %s", w.world.book.domain(r.zone), domain)
	}
	d.fixed("zone", r.zone, w.spec.Zone, reason)
	if w.Adopt == nil {
		d.fixed("domain", k.domain, w.world.domainOf(w.Resource, w.spec), "")
		d.fixed("type", string(k.kind), string(w.spec.kind()), "")
		d.fixed("set_identifier", k.set, w.spec.SetIdentifier, "")
	}
	weight := ""
	if r.Weight != nil {
		weight = strconv.FormatInt(*r.Weight, 10)
	}
	if w.spec.Weight != nil {
		d.set("weight", weight, strconv.Itoa(*w.spec.Weight))
	}
	wanted := w.world.recordSet(w.Resource, w.spec)
	d.set("alias", aliasText(r.AliasTarget), aliasText(wanted.AliasTarget))
	if wanted.AliasTarget == nil {
		ttl := ""
		if r.TTL != nil {
			ttl = strconv.FormatInt(*r.TTL, 10)
		}
		if !w.leaves("ttl") {
			d.set("ttl", ttl, strconv.FormatInt(aws.ToInt64(wanted.TTL), 10))
		}
	}
	d.set("values", strings.Join(valuesOf(r.ResourceRecordSet), ", "), strings.Join(w.spec.values(), ", "))
	return d
}

// recordSet is a definition as Route 53 takes it.
func (w *world) recordSet(r *project.Resource, s *recordSpec) types.ResourceRecordSet {
	set := types.ResourceRecordSet{Name: aws.String(w.domainOf(r, s)), Type: s.kind(), SetIdentifier: optional(s.SetIdentifier)}
	if s.Weight != nil {
		set.Weight = aws.Int64(int64(*s.Weight))
	}
	if s.Alias != nil {
		set.AliasTarget = s.Alias.target(s.Zone)
		return set
	}
	set.TTL = aws.Int64(int64(s.TTL))
	if s.TTL == 0 {
		set.TTL = aws.Int64(defaultTTL)
	}
	for _, v := range s.values() {
		set.ResourceRecords = append(set.ResourceRecords, types.ResourceRecord{Value: aws.String(v)})
	}
	return set
}

// excludes: a CNAME stands alone at its name, and records that share traffic by
// weight do not stand beside one that does not.
func (records) excludes(w want[recordSpec], r record) bool {
	k := keyOf(r.ResourceRecordSet)
	if r.zone != w.spec.Zone || k.domain != w.world.domainOf(w.Resource, w.spec) {
		return false
	}
	if k.kind != w.spec.kind() {
		return k.kind == types.RRTypeCname || w.spec.kind() == types.RRTypeCname
	}
	return (k.set == "") != (w.spec.SetIdentifier == "")
}

func (records) create(ctx context.Context, t *task, w want[recordSpec]) (record, error) {
	set := t.recordSet(w.Resource, w.spec)
	marker := t.marker(keyOf(set), t.address)
	made := record{ResourceRecordSet: set, zone: w.spec.Zone, owner: &owner{project: t.Project, environment: t.environment, address: t.address, marker: marker}}
	made.identity = tags.Merge(made.owner.identityTags(), map[string]string{tags.UUID: t.uuid, tags.Address: t.address})
	return made, t.book.of(w.spec.Zone).do(ctx, t.Cloud, recordChange{
		first: []types.Change{{Action: types.ChangeActionCreate, ResourceRecordSet: &set}, {Action: types.ChangeActionUpsert, ResourceRecordSet: &marker}},
		again: func(now zoneRecords) ([]types.Change, error) { return now.put(t.world, set, marker, false) },
	})
}

func (records) update(ctx context.Context, t *task, w want[recordSpec], r record, _ differences) error {
	set := t.recordSet(w.Resource, w.spec)
	if w.Adopt != nil {
		set.Name, set.Type, set.SetIdentifier = r.Name, r.Type, r.SetIdentifier
		if w.leaves("ttl") && set.AliasTarget == nil {
			set.TTL = r.TTL
		}
	}
	if set.Weight == nil {
		set.Weight = r.Weight
	}
	marker := t.marker(keyOf(set), t.address)
	return t.book.of(r.zone).do(ctx, t.Cloud, recordChange{
		first: []types.Change{{Action: types.ChangeActionUpsert, ResourceRecordSet: &set}},
		again: func(now zoneRecords) ([]types.Change, error) { return now.put(t.world, set, marker, w.Adopt != nil) },
	})
}

func (records) remove(ctx context.Context, t *task, r record) error {
	set, mine := r.ResourceRecordSet, t.owns(r.owner)
	remove := recordChange{again: func(now zoneRecords) ([]types.Change, error) { return now.take(t.world, keyOf(set), !mine), nil }}
	remove.first = []types.Change{{Action: types.ChangeActionDelete, ResourceRecordSet: &set}}
	if mine {
		remove.first = append(remove.first, types.Change{Action: types.ChangeActionDelete, ResourceRecordSet: &r.owner.marker})
	}
	return t.book.of(r.zone).do(ctx, t.Cloud, remove)
}
