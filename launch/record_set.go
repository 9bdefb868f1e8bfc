package launch

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/goldline-dev/goldline/internal/tags"
)

// recordKey is what tells the record sets of a zone apart.
type recordKey struct {
	domain string // without the dot at its end
	kind   types.RRType
	set    string // the identifier of a weighted one
}

func (k recordKey) String() string {
	text := k.domain + " " + string(k.kind)
	if k.set != "" {
		text += " " + k.set
	}
	return text
}

func keyOf(set types.ResourceRecordSet) recordKey {
	return recordKey{plainDomain(aws.ToString(set.Name)), set.Type, aws.ToString(set.SetIdentifier)}
}

var octalEscape = regexp.MustCompile(`\\[0-3][0-7][0-7]`)

// plainDomain is a domain as people write it: lower case, no dot at the end, and
// none of the escapes that Route 53 shows, such as \052 for *.
func plainDomain(name string) string {
	return octalEscape.ReplaceAllStringFunc(strings.TrimSuffix(strings.ToLower(name), "."), func(e string) string {
		n, _ := strconv.ParseUint(e[1:], 8, 8) // three octal digits, by the form
		return string(rune(n))
	})
}

func sameDomain(a, b string) bool { return plainDomain(a) == plainDomain(b) }

// inDomain tells whether a name is a domain or lies below it.
func inDomain(name, domain string) bool {
	name, domain = plainDomain(name), plainDomain(domain)
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// fullDomain is the name of a record in a zone: @ and names without a dot are
// within it.
func fullDomain(name, zone string) string {
	zone = plainDomain(zone)
	switch {
	case name == "@":
		return zone
	case strings.Contains(name, ".") || zone == "" || plainDomain(name) == zone:
		return plainDomain(name)
	}
	return plainDomain(name) + "." + zone
}

// The record that says whose another one is.

// markerOf is the key of the marker of a record. Its name tells the types and
// set identifiers of one domain apart.
func markerOf(k recordKey) recordKey {
	name := "_goldline-" + strings.ToLower(string(k.kind))
	if k.set != "" {
		sum := sha256.Sum256([]byte(k.set))
		name += "-" + hex.EncodeToString(sum[:4])
	}
	return recordKey{domain: name + "." + k.domain, kind: types.RRTypeTxt}
}

func isMarker(set types.ResourceRecordSet) bool {
	_, ok := readMarker(set)
	return ok
}

// owner is what a marker says.
type owner struct {
	project, environment, address string
	marker                        types.ResourceRecordSet
}

// mark is the text of a marker, as the owner of a record. A text of DNS holds
// 255 characters: an address that does not fit is left out.
func (w *world) mark(address string) string {
	text := "goldline project=" + w.Project + " environment=" + w.environment
	if with := text + " address=" + address; len(with) <= 255 {
		text = with
	}
	return strconv.Quote(text)
}

// markerTTL is how many seconds name servers keep a marker. Nobody asks for it.
const markerTTL = 300

func (w *world) marker(k recordKey, address string) types.ResourceRecordSet {
	m := markerOf(k)
	return types.ResourceRecordSet{Name: aws.String(m.domain), Type: m.kind, TTL: aws.Int64(markerTTL), ResourceRecords: []types.ResourceRecord{{Value: aws.String(w.mark(address))}}}
}

func readMarker(set types.ResourceRecordSet) (o owner, ok bool) {
	if set.Type != types.RRTypeTxt || !strings.HasPrefix(aws.ToString(set.Name), "_goldline-") || len(set.ResourceRecords) != 1 {
		return o, false
	}
	text, err := strconv.Unquote(aws.ToString(set.ResourceRecords[0].Value))
	words := strings.Fields(text)
	if err != nil || len(words) == 0 || words[0] != "goldline" {
		return o, false
	}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "project":
			o.project = value
		case "environment":
			o.environment = value
		case "address":
			o.address = value
		}
	}
	o.marker = set
	return o, true
}

func (w *world) owns(o *owner) bool {
	return o != nil && o.project == w.Project && o.environment == w.environment
}

// ownersOf finds the markers of a zone's records, by the records' keys.
func ownersOf(records []types.ResourceRecordSet) map[recordKey]*owner {
	markers := map[recordKey]*owner{}
	for _, set := range records {
		if o, ok := readMarker(set); ok {
			markers[keyOf(set)] = &o
		}
	}
	owners := map[recordKey]*owner{}
	for _, set := range records {
		if o := markers[markerOf(keyOf(set))]; o != nil && !isMarker(set) {
			owners[keyOf(set)] = o
		}
	}
	return owners
}

// identityTags are the tags that a marker stands for.
func (o *owner) identityTags() map[string]string {
	if o == nil {
		return nil
	}
	set := map[string]string{tags.Project: o.project, tags.Environment: o.environment}
	if o.address != "" {
		set[tags.Address] = o.address
	}
	return set
}

// Values of records, in one form: Route 53 keeps them as they were given.

// normalValue is a value in Route 53's form.
func normalValue(kind types.RRType, value string) string {
	value = strings.TrimSpace(value)
	if strings.Contains(value, Unknown) || unresolved(value) {
		return value
	}
	switch kind {
	case types.RRTypeAaaa:
		if a, err := netip.ParseAddr(value); err == nil {
			return a.String()
		}
	case types.RRTypeCname, types.RRTypeNs:
		return plainDomain(value) + "."
	case types.RRTypeMx:
		if priority, host, ok := strings.Cut(value, " "); ok {
			return priority + " " + plainDomain(strings.TrimSpace(host)) + "."
		}
	case types.RRTypeTxt:
		return textValue(value)
	}
	return value
}

// textValue is text as TXT records hold it: in quotation marks, in parts of at most
// 255 characters. What is in quotation marks already is left as it is.
func textValue(text string) string {
	if strings.HasPrefix(text, `"`) && strings.HasSuffix(text, `"`) && len(text) > 1 {
		return text
	}
	var parts []string
	for part := range slices.Chunk([]byte(text), 255) {
		parts = append(parts, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(string(part))+`"`)
	}
	if len(parts) == 0 {
		return `""`
	}
	return strings.Join(parts, " ")
}

// valuesOf are the values of a record set in one form, in order.
func valuesOf(set types.ResourceRecordSet) []string {
	var list []string
	for _, r := range set.ResourceRecords {
		list = append(list, normalValue(set.Type, aws.ToString(r.Value)))
	}
	slices.Sort(list)
	return list
}

// aliasText is the target of an alias for people.
func aliasText(a *types.AliasTarget) string {
	if a == nil {
		return ""
	}
	text := fmt.Sprintf("%s in %s", plainDomain(aws.ToString(a.DNSName)), zoneID(a.HostedZoneId))
	if a.EvaluateTargetHealth {
		text += ", if it is healthy"
	}
	return text
}
