package emulator

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

// recordRow is one record set of a zone.
type recordRow struct {
	Zone string // its ID
	Set  types.ResourceRecordSet
}

func (r recordRow) key() string { return r.Zone + " " + recordOrder(r.Set) }

// recordOrder is what tells record sets of a zone apart, and sorts them as
// Route 53 does: by the reversed name, then type, then set identifier.
func recordOrder(set types.ResourceRecordSet) string {
	return reversed(*set.Name) + " " + string(set.Type) + " " + deref(set.SetIdentifier)
}

func describeRecord(set types.ResourceRecordSet) string {
	text := fmt.Sprint(*set.Name, " ", set.Type, " ", deref(set.SetIdentifier), " ", deref(set.TTL), " ", deref(set.Weight))
	for _, r := range set.ResourceRecords {
		text += " " + deref(r.Value)
	}
	if a := set.AliasTarget; a != nil {
		text += " alias " + deref(a.HostedZoneId) + " " + deref(a.DNSName)
	}
	return text
}

const recordPaths = "Name Type TTL Weight SetIdentifier ResourceRecords.* AliasTarget.*"

func (s *route53Service) addRecords() {
	honours := "HostedZoneId ChangeBatch.Comment ChangeBatch.Changes.Action"
	for path := range strings.FieldsSeq(recordPaths) {
		honours += " ChangeBatch.Changes.ResourceRecordSet." + path
	}
	dnsOn(s, "ChangeResourceRecordSets", honours, s.changeRecords)
	dnsOn(s, "ListResourceRecordSets", "HostedZoneId StartRecordName StartRecordType StartRecordIdentifier MaxItems", s.listRecords)
}

// recordsOf are a zone's records, in order.
func (s *route53Service) recordsOf(c apiCall, z hostedZoneRow) []recordRow {
	return keep(s.records.all(c.w), func(r recordRow) bool { return r.Zone == z.ID })
}

func (s *route53Service) putRecord(c apiCall, z hostedZoneRow, set types.ResourceRecordSet) {
	r := recordRow{Zone: z.ID, Set: set}
	s.records.put(c.w, r.key(), r)
}

// keeps tells whether a zone cannot be without a record.
func (z hostedZoneRow) keeps(set types.ResourceRecordSet) bool {
	return *set.Name == z.Name && (set.Type == types.RRTypeNs || set.Type == types.RRTypeSoa)
}

// maxRecordPage is how many record sets a page holds.
const maxRecordPage = 300

func (s *route53Service) listRecords(c apiCall, in *route53.ListResourceRecordSetsInput) (*route53.ListResourceRecordSetsOutput, error) {
	z, err := s.zone(c, in.HostedZoneId)
	if err != nil {
		return nil, err
	}
	size, err := dnsPage(in.MaxItems, maxRecordPage)
	if err != nil {
		return nil, err
	}
	if in.StartRecordName == nil && in.StartRecordType != "" || in.StartRecordType == "" && in.StartRecordIdentifier != nil {
		return nil, dnsInvalid("The parameter type needs name, and identifier needs both")
	}
	from := ""
	if in.StartRecordName != nil {
		name, err := checkDomain(*in.StartRecordName)
		if err != nil {
			return nil, err
		}
		from = strings.TrimRight(recordOrder(types.ResourceRecordSet{Name: &name, Type: in.StartRecordType, SetIdentifier: in.StartRecordIdentifier}), " ")
	}
	rows := keep(s.recordsOf(c, z), func(r recordRow) bool { return recordOrder(r.Set) >= from })
	out := &route53.ListResourceRecordSetsOutput{MaxItems: new(int32(size)), IsTruncated: len(rows) > size}
	if out.IsTruncated {
		next := rows[size].Set
		out.NextRecordName, out.NextRecordType, out.NextRecordIdentifier, rows = next.Name, next.Type, next.SetIdentifier, rows[:size]
	}
	for _, r := range rows {
		out.ResourceRecordSets = append(out.ResourceRecordSets, r.Set)
	}
	return out, nil
}

// Limits of one batch, in which an UPSERT counts twice.
// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
const (
	maxBatchRecords = 1000
	maxBatchText    = 32_000
)

func checkBatchSize(changes []types.Change) error {
	records, text := 0, 0
	for _, ch := range changes {
		times := 1
		if ch.Action == types.ChangeActionUpsert {
			times = 2
		}
		records += times * max(1, len(ch.ResourceRecordSet.ResourceRecords))
		for _, r := range ch.ResourceRecordSet.ResourceRecords {
			text += times * len(deref(r.Value))
		}
	}
	switch {
	case records > maxBatchRecords:
		return invalidBatch([]string{fmt.Sprintf("Number of records limit of %d exceeded.", maxBatchRecords)})
	case text > maxBatchText:
		return invalidBatch([]string{fmt.Sprintf("Number of characters limit of %d exceeded.", maxBatchText)})
	}
	return nil
}

// invalidBatch lists everything that is wrong with a batch, as Route 53 does.
func invalidBatch(messages []string) error {
	return refuse("InvalidChangeBatch", "[%s]", strings.Join(messages, ", "))
}

func (s *route53Service) changeRecords(c apiCall, in *route53.ChangeResourceRecordSetsInput) (*route53.ChangeResourceRecordSetsOutput, error) {
	z, err := s.zone(c, in.HostedZoneId)
	if err != nil {
		return nil, err
	}
	changes := in.ChangeBatch.Changes
	if len(changes) == 0 {
		return nil, dnsInvalid("1 validation error detected: Value '[]' at 'changeBatch.changes' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	if err := checkBatchSize(changes); err != nil {
		return nil, err
	}
	b := &recordBatch{zone: z, sets: map[string]types.ResourceRecordSet{}, touched: map[string][]types.ChangeAction{}}
	for _, r := range s.recordsOf(c, z) {
		b.sets[recordOrder(r.Set)] = r.Set
	}
	for _, ch := range changes {
		if err := b.apply(ch); err != nil {
			return nil, err
		}
	}
	if len(b.wrong) == 0 {
		b.consistent(func(target types.AliasTarget) bool { return s.aliased(c, target) })
	}
	if len(b.wrong) > 0 {
		return nil, invalidBatch(b.wrong)
	}
	for key := range b.touched {
		if set, ok := b.sets[key]; ok {
			s.putRecord(c, z, set)
		} else {
			s.records.remove(c.w, z.ID+" "+key)
		}
	}
	return &route53.ChangeResourceRecordSetsOutput{ChangeInfo: s.change(c, in.ChangeBatch.Comment)}, nil
}

// recordBatch is a zone's records as a batch leaves them: all of it is carried
// out, or nothing.
type recordBatch struct {
	zone    hostedZoneRow
	sets    map[string]types.ResourceRecordSet
	touched map[string][]types.ChangeAction
	wrong   []string
}

func (b *recordBatch) refuse(format string, args ...any) {
	b.wrong = append(b.wrong, fmt.Sprintf(format, args...))
}

// apply makes one change. What is wrong with its form is an error of its own;
// what does not fit the zone is gathered.
func (b *recordBatch) apply(ch types.Change) error {
	set := *ch.ResourceRecordSet
	name, err := checkDomain(*set.Name)
	if err != nil {
		b.refuse("FATAL problem: DomainLabelEmpty (Domain label is empty) encountered with '%s'", *set.Name)
		return nil
	}
	set.Name = &name
	if err := checkShape(ch.Action, set); err != nil {
		return err
	}
	if !inDomain(name, b.zone.Name) {
		b.refuse("RRSet with DNS name %s is not permitted in zone %s", name, b.zone.Name)
		return nil
	}
	if problem := checkValues(set); problem != "" {
		b.refuse("Invalid Resource Record: '%s'", problem)
		return nil
	}
	if set.AliasTarget != nil {
		target := *set.AliasTarget
		if text, err := checkDomain(deref(target.DNSName)); err == nil {
			target.DNSName = &text
		}
		set.AliasTarget = &target
	}
	b.carryOut(ch.Action, recordOrder(set), set)
	return nil
}

func (b *recordBatch) carryOut(action types.ChangeAction, key string, set types.ResourceRecordSet) {
	old, exists := b.sets[key]
	named := fmt.Sprintf("[name='%s', type='%s'", *set.Name, set.Type)
	if set.SetIdentifier != nil {
		named += fmt.Sprintf(", set-identifier='%s'", *set.SetIdentifier)
	}
	named += "]"
	before := b.touched[key]
	if len(before) > 1 || len(before) == 1 && (before[0] != types.ChangeActionDelete || action == types.ChangeActionDelete) {
		b.refuse("The request contains an invalid set of changes for a resource record set '%s %s'", set.Type, *set.Name)
		return
	}
	b.touched[key] = append(before, action)
	switch {
	case action == types.ChangeActionCreate && exists:
		b.refuse("Tried to create resource record set %s but it already exists", named)
	case action == types.ChangeActionDelete && !exists:
		b.refuse("Tried to delete resource record set %s but it was not found", named)
	case action == types.ChangeActionDelete && !sameRecord(old, set):
		b.refuse("Tried to delete resource record set %s but the values provided do not match the current values", named)
	case action == types.ChangeActionDelete:
		delete(b.sets, key)
	default:
		b.sets[key] = set
	}
}

// sameRecord compares all that a record set holds; the order of values makes
// no difference.
func sameRecord(a, b types.ResourceRecordSet) bool {
	values := func(set types.ResourceRecordSet) []string {
		var list []string
		for _, r := range set.ResourceRecords {
			list = append(list, deref(r.Value))
		}
		sort.Strings(list)
		return list
	}
	return slices.Equal(values(a), values(b)) && deref(a.TTL) == deref(b.TTL) && deref(a.Weight) == deref(b.Weight) &&
		(a.AliasTarget == nil) == (b.AliasTarget == nil) && fmt.Sprint(aliasText(a)) == fmt.Sprint(aliasText(b))
}

func aliasText(set types.ResourceRecordSet) string {
	if set.AliasTarget == nil {
		return ""
	}
	a := set.AliasTarget
	return fmt.Sprint(deref(a.HostedZoneId), deref(a.DNSName), a.EvaluateTargetHealth)
}
