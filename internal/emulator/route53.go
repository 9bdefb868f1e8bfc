package emulator

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

const route53Name = "route53" // the signing name

// route53Service holds the tables of Route 53 and carries out its actions. It
// is global: its rows live in the account's world without a region. It keeps
// zones and records, and answers no DNS queries.
type route53Service struct {
	cloud *Cloud

	zones   *table[hostedZoneRow] // by ID
	records *table[recordRow]     // by recordKey
	changes *table[changeRow]     // by ID
	// references are the caller references that were used: none can be used
	// again, also when its zone is gone.
	references *table[string]
}

// changeRow is a change on its way to the name servers.
type changeRow struct {
	ID        string
	Comment   *string `json:",omitempty"`
	Submitted time.Time
}

// newRoute53 adds the tables and the actions. It is called before the store is
// loaded, after newEC2 and newELB.
func newRoute53(c *Cloud) *route53Service {
	s := &route53Service{
		cloud:      c,
		zones:      newTable[hostedZoneRow](c.store, "route53-zones"),
		records:    newTable[recordRow](c.store, "route53-records"),
		changes:    newTable[changeRow](c.store, "route53-changes"),
		references: newTable[string](c.store, "route53-references"),
	}
	s.addZones()
	s.addZoneVPCs()
	s.addRecords()
	dnsOn(s, "GetChange", "Id", s.getChange)
	dnsOn(s, "ChangeTagsForResource", "ResourceType ResourceId AddTags.* RemoveTagKeys", s.changeTags)
	dnsOn(s, "ListTagsForResource", "ResourceType ResourceId", s.listTags)
	dnsOn(s, "ListTagsForResources", "ResourceType ResourceIds", s.listTagsOfMany)
	inventory(c, "hosted-zone", s.zones, func(z hostedZoneRow) (string, bool) {
		return fmt.Sprint(z.ID, " ", z.Name, " ", deref(z.Comment), " ", z.VPCs), true
	})
	inventory(c, "record", s.records, func(r recordRow) (string, bool) {
		return r.Zone + " " + describeRecord(r.Set), true
	})
	return s
}

// dnsOn adds an action, as on does for EC2.
func dnsOn[I, O any](s *route53Service, action, honours string, f func(apiCall, *I) (*O, error)) {
	handleCall(s.cloud.registry, route53Name, action, honours, func(who caller) apiCall {
		return apiCall{who, world{Account: who.Account}, s.cloud.clock.Now().UTC().Truncate(time.Millisecond)}
	}, f)
}

func dnsInvalid(format string, args ...any) error { return refuse("InvalidInput", format, args...) }

func dnsMissing(code, format string, args ...any) error {
	return &apiError{Status: http.StatusNotFound, Code: code, Message: fmt.Sprintf(format, args...)}
}

// dnsID makes an ID as Route 53's are: Z0123456789ABCDEFGHIJ.
func dnsID(prefix string) string {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return prefix + string(b[:])
}

// plainID is an ID without the path that answers put before it.
func plainID(id *string) string {
	text := deref(id)
	return text[strings.LastIndexByte(text, '/')+1:]
}

// propagated is how long after a change it is forgotten.
const propagated = 24 * time.Hour

// change notes a change that reaches the name servers after the time of a
// transition.
func (s *route53Service) change(c apiCall, comment *string) *types.ChangeInfo {
	for _, old := range s.changes.all(c.w) {
		if c.now.Sub(old.Submitted) > propagated {
			s.changes.remove(c.w, old.ID)
		}
	}
	row := changeRow{ID: dnsID("C"), Comment: comment, Submitted: c.now}
	s.changes.put(c.w, row.ID, row)
	return s.showChange(c, row)
}

func (s *route53Service) showChange(c apiCall, row changeRow) *types.ChangeInfo {
	status := types.ChangeStatusPending
	if c.now.Sub(row.Submitted) >= s.cloud.options.Transition {
		status = types.ChangeStatusInsync
	}
	return &types.ChangeInfo{Id: new("/change/" + row.ID), Status: status, SubmittedAt: new(row.Submitted), Comment: row.Comment}
}

func (s *route53Service) getChange(c apiCall, in *route53.GetChangeInput) (*route53.GetChangeOutput, error) {
	row, ok := s.changes.get(c.w, plainID(in.Id))
	if !ok {
		return nil, dnsMissing("NoSuchChange", "Could not find resource with ID: %s", plainID(in.Id))
	}
	return &route53.GetChangeOutput{ChangeInfo: s.showChange(c, row)}, nil
}

// dnsPage is how many things a page holds; a request can ask for fewer.
func dnsPage(asked *int32, most int) (int, error) {
	if asked == nil {
		return most, nil
	}
	if *asked < 1 {
		return 0, dnsInvalid("Value for field 'maxItems' is out of range: %d", *asked)
	}
	return min(int(*asked), most), nil
}

// Names of domains as Route 53 keeps them: lower case, with a dot at the end,
// and characters other than letters, digits, - and _ as octal escapes.

var (
	octal    = regexp.MustCompile(`\\[0-3][0-7][0-7]`)
	dnsLabel = regexp.MustCompile(`^[!-~]{1,63}$`)
)

func checkDomain(name string) (string, error) {
	plain := octal.ReplaceAllStringFunc(strings.TrimSuffix(strings.ToLower(name), "."), func(e string) string {
		code, _ := strconv.ParseUint(e[1:], 8, 8) // the form holds three octal digits
		return string(rune(code))
	})
	bad := plain == "" || len(plain) > 254
	for l := range strings.SplitSeq(plain, ".") {
		bad = bad || !dnsLabel.MatchString(l)
	}
	if bad {
		return "", refuse("InvalidDomainName", "The domain name '%s' is not valid.", name)
	}
	var b strings.Builder
	for _, r := range plain {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\%03o`, r)
		}
	}
	return b.String() + ".", nil
}

// reversed is a name by which Route 53 sorts: com.example.www.
func reversed(name string) string {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	slices.Reverse(labels)
	return strings.Join(labels, ".") + "."
}

// inDomain tells whether a name lies in a zone.
func inDomain(name, zone string) bool { return name == zone || strings.HasSuffix(name, "."+zone) }

// maxTagsForResources is how many resources one ListTagsForResources takes.
const maxTagsForResources = 10

func (s *route53Service) tagged(c apiCall, kind types.TagResourceType, id string) (hostedZoneRow, error) {
	if kind != types.TagResourceTypeHostedzone {
		return hostedZoneRow{}, dnsMissing("NoSuchHealthCheck", "A health check with id: %s does not exist.", id)
	}
	return s.zone(c, &id)
}

func (s *route53Service) changeTags(c apiCall, in *route53.ChangeTagsForResourceInput) (*route53.ChangeTagsForResourceOutput, error) {
	z, err := s.tagged(c, in.ResourceType, *in.ResourceId)
	if err != nil {
		return nil, err
	}
	if len(in.AddTags)+len(in.RemoveTagKeys) == 0 || len(in.AddTags) > 10 || len(in.RemoveTagKeys) > 10 {
		return nil, dnsInvalid("A request adds or removes 1 to 10 tags")
	}
	set := untagged(z.Tags, in.RemoveTagKeys)
	if set == nil {
		set = map[string]string{}
	}
	for _, t := range in.AddTags {
		key := deref(t.Key)
		if key == "" || len(key) > 128 || len(deref(t.Value)) > 256 || strings.HasPrefix(strings.ToLower(key), "aws:") {
			return nil, dnsInvalid("The tag key '%s' or its value is not valid", key)
		}
		set[key] = deref(t.Value)
	}
	if len(set) > maxTags {
		return nil, dnsInvalid("A resource has at most %d tags", maxTags)
	}
	z.Tags = set
	s.zones.put(c.w, z.ID, z)
	return &route53.ChangeTagsForResourceOutput{}, nil
}

func (z hostedZoneRow) tagSet() types.ResourceTagSet {
	set := types.ResourceTagSet{ResourceType: types.TagResourceTypeHostedzone, ResourceId: new(z.ID), Tags: []types.Tag{}}
	for _, key := range sortedKeys(z.Tags) {
		set.Tags = append(set.Tags, types.Tag{Key: new(key), Value: new(z.Tags[key])})
	}
	return set
}

func (s *route53Service) listTags(c apiCall, in *route53.ListTagsForResourceInput) (*route53.ListTagsForResourceOutput, error) {
	z, err := s.tagged(c, in.ResourceType, *in.ResourceId)
	if err != nil {
		return nil, err
	}
	return &route53.ListTagsForResourceOutput{ResourceTagSet: new(z.tagSet())}, nil
}

func (s *route53Service) listTagsOfMany(c apiCall, in *route53.ListTagsForResourcesInput) (*route53.ListTagsForResourcesOutput, error) {
	if n := len(in.ResourceIds); n == 0 || n > maxTagsForResources {
		return nil, dnsInvalid("1 validation error detected: Value at 'resourceIds' failed to satisfy constraint: Member must have length less than or equal to %d", maxTagsForResources)
	}
	out := &route53.ListTagsForResourcesOutput{}
	for _, id := range in.ResourceIds {
		z, err := s.tagged(c, in.ResourceType, id)
		if err != nil {
			return nil, err
		}
		out.ResourceTagSets = append(out.ResourceTagSets, z.tagSet())
	}
	return out, nil
}
