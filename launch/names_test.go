package launch

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

const (
	zoneFile   = "topology/zones/internal.yaml"
	recordFile = "topology/records/all.yaml"
)

func namesFiles() map[string]string {
	return map[string]string{
		"topology/vpcs/all.yaml":     "name: main\ncidr_block: 10.0.0.0/16\n---\nname: second\ncidr_block: 10.1.0.0/16\n",
		zoneFile:                     "domain: shop.internal\ncomment: ours\nvpcs: [main]\n",
		"topology/zones/public.yaml": "domain: example.com\n",
		recordFile: "name: db\nzone: internal\ndomain: db\nvalues: [10.0.0.5]\n" +
			"---\nname: text\nzone: public\ndomain: \"@\"\ntype: TXT\nvalues: ['v=spf1 \"x\" -all']\n" +
			"---\nname: mail\nzone: public\ndomain: \"@\"\ntype: MX\nvalues: [10 Mail.example.com]\n" +
			"---\nname: any\nzone: public\ndomain: \"*.example.com\"\ntype: CNAME\nvalues: [www.example.com]\n" +
			"---\nname: apex\nzone: public\ndomain: example.com\nalias: {record: www}\n" +
			"---\nname: www\nzone: public\ndomain: www\nttl: 60\nvalues: [192.0.2.2, 192.0.2.1]\n" +
			"---\nname: share\nzone: public\ncount: 2\ndomain: api\nvalues: [\"192.0.2.1${index}\"]\nset_identifier: set-${index}\nweight: 10\n",
	}
}

func TestZonesAndRecords(t *testing.T) {
	live(t, namesFiles(), []step{
		{"the same in other words", func(s *site) {
			s.edit(recordFile, "domain: db\n", "domain: DB.shop.internal.\n")
			s.edit(recordFile, "[192.0.2.2, 192.0.2.1]", "[192.0.2.1, 192.0.2.2]")
			s.edit(recordFile, "10 Mail.example.com", "10 mail.example.com.")
		}, nil},
		{"in place", func(s *site) {
			s.edit(zoneFile, "comment: ours\nvpcs: [main]", "vpcs: [second]")
			s.edit(recordFile, "10.0.0.5", "10.0.0.6")
			s.edit(recordFile, "ttl: 60", "ttl: 61")
			s.edit(recordFile, "weight: 10", "weight: 20")
		}, []string{"change zone.internal: comment; vpcs", "change record.db: values", "change record.www: ttl", "change record.share[0]: weight", "change record.share[1]: weight"}},
		{"tags", func(s *site) { s.edit(zoneFile, "vpcs:", "tags: {cost: \"7\"}\nvpcs:") }, []string{"change zone.internal: tags"}},
		{"another name", func(s *site) { s.edit(recordFile, "domain: www\n", "domain: web\n") },
			[]string{"replace record.www: domain: www.example.com -> web.example.com", "change record.apex: alias"}},
		{"another type", func(s *site) {
			s.edit(recordFile, "domain: \"*.example.com\"\ntype: CNAME\nvalues: [www.example.com]", "domain: \"*.example.com\"\nvalues: [192.0.2.9]")
		}, []string{"replace record.any: type: CNAME -> A"}},
		{"another definition of the same", func(s *site) { s.edit(recordFile, "name: mail", "name: post") }, nil},
		{"another domain", func(s *site) {
			s.edit(zoneFile, "shop.internal", "shop.test")
			s.edit(recordFile, "DB.shop.internal.", "db")
		},
			[]string{"replace zone.internal: domain: shop.internal -> shop.test", "replace record.db: its zone is made anew; domain: db.shop.internal -> db.shop.test"}},
		{"fewer", func(s *site) { s.edit(recordFile, "count: 2", "count: 1") }, []string{"delete record.share[1]: no definition has it"}},
	})
}

func (s *site) dns() *route53.Client { return s.cloud.Route53 }

// putRecord makes a record by hand.
func (s *site) putRecord(action types.ChangeAction, zone, name, value string) {
	s.t.Helper()
	_, err := s.dns().ChangeResourceRecordSets(context.Background(), &route53.ChangeResourceRecordSetsInput{HostedZoneId: &zone, ChangeBatch: &types.ChangeBatch{
		Changes: []types.Change{{Action: action, ResourceRecordSet: &types.ResourceRecordSet{
			Name: &name, Type: types.RRTypeA, TTL: aws.Int64(60), ResourceRecords: []types.ResourceRecord{{Value: &value}}}}}}})
	if err != nil {
		s.t.Fatal(err)
	}
}

// records are the records of a zone that are not Route 53's own, nor markers.
func (s *site) records(zone string) []string {
	s.t.Helper()
	list, err := listRecords(context.Background(), s.dns(), zone)
	if err != nil {
		s.t.Fatal(err)
	}
	var all []string
	for _, set := range list {
		if !isMarker(set) && set.Type != types.RRTypeNs && set.Type != types.RRTypeSoa {
			all = append(all, keyOf(set).String()+" "+strings.Join(valuesOf(set), ", "))
		}
	}
	return all
}

func (s *site) zoneID(domain string) string {
	s.t.Helper()
	out, err := s.dns().ListHostedZonesByName(context.Background(), &route53.ListHostedZonesByNameInput{DNSName: &domain})
	if err != nil || len(out.HostedZones) == 0 {
		s.t.Fatalf("zone %s: %v", domain, err)
	}
	return zoneID(out.HostedZones[0].Id)
}

func wantRecords(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: the records are %q, not %q", what, got, want)
	}
}

// calls counts those of Route 53.
func (s *site) dnsCalls() map[string]int {
	counts := map[string]int{}
	for _, c := range s.local.Calls() {
		if c.Service == "route53" {
			counts[c.Action]++
		}
	}
	return counts
}

// manyAtOnce is how many calls 40 records may take: how many of them ask at the
// same moment is up to the machine, and each for itself would be 40.
const manyAtOnce = 20

// TestRecordCalls: all records of a zone go out in one call, and a plan asks
// about a zone once or twice.
func TestRecordCalls(t *testing.T) {
	files := namesFiles()
	files[recordFile] = "zone: internal\nname: host\ncount: 40\ndomain: host-${index}\nvalues: [\"10.0.1.${index}\"]\n"
	s := newSite(t, files)
	s.launch() // the zones are made on the way: what is ready with them goes along
	s.local.ResetCalls()
	s.settled()
	counts := s.dnsCalls()
	if counts["ListHostedZones"] != 1 || counts["ListTagsForResources"] != 1 || counts["GetHostedZone"] != 1 || counts["ListResourceRecordSets"] != 2 || len(counts) != 4 {
		t.Errorf("a plan calls %v", counts)
	}
	s.edit(recordFile, "10.0.1.", "10.0.2.")
	s.local.ResetCalls()
	s.launch()
	if n := s.dnsCalls()["ChangeResourceRecordSets"]; n > manyAtOnce {
		t.Errorf("%d calls change 40 records", n)
	}
	s.settled()
	s.local.ResetCalls()
	s.destroy()
	if n := s.dnsCalls()["ChangeResourceRecordSets"]; n > manyAtOnce {
		t.Errorf("%d calls remove 40 records", n)
	}
}

// TestForeignRecords: what Goldline did not make is neither changed nor deleted,
// in whosever zone it is.
func TestForeignRecords(t *testing.T) {
	files := namesFiles()
	files[recordFile] = "zone: public\nname: www\ndomain: www\nvalues: [192.0.2.1]\n"
	s := newSite(t, files)
	s.launch()
	zone := s.zoneID("example.com")
	s.putRecord(types.ChangeActionCreate, zone, "mine.example.com", "192.0.2.7")
	s.settled()
	s.edit(recordFile, "domain: www", "domain: mine")
	_, err := NewPlan(context.Background(), s.options())
	wantError(t, err, "record.www", "mine.example.com A is there already in zone "+zone+", and Goldline did not make it")
	s.edit(recordFile, "domain: mine", "domain: www")
	err = s.tryDestroy(context.Background())
	wantError(t, err, "zone.public", "holds records that Goldline did not make: mine.example.com A")
	wantRecords(t, "a destruction that is refused", s.records(zone), "mine.example.com A 192.0.2.7", "www.example.com A 192.0.2.1")
	s.edit(recordFile, "values: [192.0.2.1]", "values: [192.0.2.2]")
	s.putRecord(types.ChangeActionUpsert, zone, "www.example.com", "192.0.2.3") // by hand, while the plan is made
	s.launch()
	s.settled()
	s.putRecord(types.ChangeActionDelete, zone, "mine.example.com", "192.0.2.7")
	s.destroy()
}

// TestAdoptedZone: of an adopted zone only the records that the definitions name
// are touched; those and nothing else goes with a destruction.
func TestAdoptedZone(t *testing.T) {
	s := newSite(t, nil)
	out, err := s.dns().CreateHostedZone(context.Background(), &route53.CreateHostedZoneInput{Name: aws.String("example.com"), CallerReference: aws.String("by hand")})
	if err != nil {
		t.Fatal(err)
	}
	zone := zoneID(out.HostedZone.Id)
	for name, value := range map[string]string{"mine.example.com": "192.0.2.7", "old.example.com": "192.0.2.8"} {
		s.putRecord(types.ChangeActionCreate, zone, name, value)
	}
	before := s.inventory()
	s.write(map[string]string{
		"topology/zones/public.yaml": "adopt: {name: example.com}\n",
		recordFile:                   "name: www\nzone: public\ndomain: www\nvalues: [192.0.2.1]\n---\nname: old\nzone: public\ndomain: old\nadopt: {domain: old.example.com, type: A}\nvalues: [192.0.2.8]\n",
	})
	s.launch()
	s.settled()
	wantRecords(t, "after a launch", s.records(zone), "mine.example.com A 192.0.2.7", "old.example.com A 192.0.2.8", "www.example.com A 192.0.2.1")
	s.edit(recordFile, "192.0.2.8", "192.0.2.9")
	s.launch()
	s.settled()
	wantRecords(t, "after a change", s.records(zone), "mine.example.com A 192.0.2.7", "old.example.com A 192.0.2.9", "www.example.com A 192.0.2.1")
	s.edit(recordFile, "192.0.2.9", "192.0.2.8")
	s.launch()
	audit, err := Audit(context.Background(), s.options())
	if err != nil || !audit.Empty() {
		t.Errorf("an audit says %v, %v", audit, err)
	}
	s.destroy()
	sameInventory(t, "after destroy", before, s.inventory())
}

// TestDomain: an instance's domain is a record of its own, which moves to a
// successor; with an elastic IP and a public zone it leads there.
func TestDomain(t *testing.T) {
	files := platform()
	files[zoneFile] = "domain: shop.internal\nvpcs: [main]\n"
	files["topology/zones/public.yaml"] = "domain: example.com\n"
	files["topology/elastic_ips/db.yaml"] = "{}\n"
	files["topology/instances/web.yaml"] += "domain: web-${index}.shop.internal\n"
	files["topology/instances/db.yaml"] += "domain: [db.shop.internal, db.example.com]\nelastic_ip: db\n"
	files["topology/records/all.yaml"] = "name: said\nzone: public\ndomain: said\ntype: A\nttl: 60\nvalues: ['${instance.db.public_ip}']\n"
	s := newSite(t, files)
	s.promote("web", "1.0.0")
	s.promote("db", "1.0.0")
	result := s.launch()
	s.settled()
	follow := func(what string, result Result) {
		t.Helper()
		private, public := map[string]string{}, ""
		list, err := Instances(context.Background(), s.options())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range list {
			private[i.Address] = i.PrivateIP
			if i.Address == "instance.db" {
				public = i.PublicIP
			}
		}
		wantRecords(t, what, s.records(s.zoneID("shop.internal")), "db.shop.internal A "+private["instance.db"],
			"web-0.shop.internal A "+private["instance.web[0]"], "web-1.shop.internal A "+private["instance.web[1]"])
		wantRecords(t, what, s.records(s.zoneID("example.com")), "db.example.com A "+public, "said.example.com A "+public)
		for _, i := range result.Instances {
			if i.Address == "instance.db" && (i.PublicIP != public || public == "") {
				t.Errorf("%s: the result says %q, EC2 %q", what, i.PublicIP, public)
			}
		}
	}
	follow("a launch", result)
	s.promote("db", "2.0.0")
	plan := s.plan()
	if got := summaryOf(plan); !strings.Contains(got, "replace instance.db") || !strings.Contains(got, "change record.db.shop.internal: values") {
		t.Errorf("the plan is\n%s", got)
	}
	result = s.launch()
	s.settled()
	follow("a replacement", result)
	o := s.options()
	o.Only = []string{"instance.web"}
	if _, err := NewPlan(context.Background(), o); err != nil {
		t.Error(err)
	}
	s.destroy()
	for kind, lines := range s.inventory() {
		if strings.HasSuffix(kind, " record") || strings.HasSuffix(kind, " hosted-zone") {
			t.Errorf("after destroy: %s %v", kind, lines)
		}
	}
}

func TestRecordsThatAreWrong(t *testing.T) {
	for name, test := range map[string]struct{ file, text, want string }{
		"no zone":       {"topology/instances/a.yaml", "ami: ami-00000000000000001\ninstance_type: t3.micro\ndomain: www.example.org\n", "no zone of this topology holds www.example.org"},
		"outside":       {"topology/records/a.yaml", "zone: public\ndomain: www.example.org\nvalues: [192.0.2.1]\n", "www.example.org does not lie in the zone of example.com"},
		"no address":    {"topology/records/a.yaml", "zone: public\ndomain: a\nvalues: [x]\n", "\"x\": no IPv4 address"},
		"apex":          {"topology/records/a.yaml", "zone: public\ndomain: \"@\"\ntype: CNAME\nvalues: [x.test]\n", "a CNAME cannot stand at the zone's own name"},
		"twice":         {"topology/records/z.yaml", "zone: public\ndomain: www.example.com\nvalues: [192.0.2.1]\n", "www.example.com A is record.www already"},
		"beside":        {"topology/records/z.yaml", "zone: public\ndomain: www\ntype: CNAME\nvalues: [x.test]\n", "a CNAME stands alone"},
		"nothing":       {"topology/records/a.yaml", "zone: public\ndomain: a\n", "a record needs values or an alias"},
		"weight":        {"topology/records/a.yaml", "zone: public\ndomain: a\nvalues: [192.0.2.1]\nweight: 1\n", "weight and set_identifier go together"},
		"alias":         {"topology/records/a.yaml", "zone: public\ndomain: a\nalias: {domain_name: x.test}\n", "a name of something else needs its zone_id"},
		"another zone":  {"topology/records/a.yaml", "zone: internal\ndomain: a\nalias: {record: www}\n", "stands in another zone"},
		"no domain":     {"topology/zones/a.yaml", "domain: a b\n", "is no name of a domain"},
		"public twice":  {"topology/zones/z.yaml", "domain: Example.com.\n", "is a public zone of the same domain"},
		"no such zone":  {"topology/records/a.yaml", "zone: publik\ndomain: a\nvalues: [192.0.2.1]\n", "public"},
		"no such field": {"topology/records/a.yaml", "zone: public\ndomain: a\nvalue: [192.0.2.1]\n", "values"},
	} {
		t.Run(name, func(t *testing.T) {
			files := namesFiles()
			files[test.file] = test.text
			s := newSite(t, files)
			_, err := s.topology()
			wantError(t, err, test.file, test.want)
		})
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, but %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error is %v, without %q", err, part)
		}
	}
}

func TestNamesEveryCallFailsOnce(t *testing.T) {
	t.Parallel()
	disturb(t, namesFiles(), func(s *site) {
		s.edit(recordFile, "domain: www\n", "domain: web\n")
		s.edit(recordFile, "10.0.0.5", "10.0.0.6")
		s.edit(recordFile, "count: 2", "count: 1")
		s.edit(zoneFile, "vpcs: [main]", "vpcs: [second]")
	}, 7)
}

// TestRecordThatIsRefused: one wrong record of many does not keep the others
// from being made.
func TestRecordThatIsRefused(t *testing.T) {
	files := namesFiles()
	files[recordFile] = "zone: public\nname: host\ncount: 5\ndomain: host-${index}\nvalues: [\"192.0.2.${index}\"]\n"
	s := newSite(t, files)
	s.launch()
	zone := s.zoneID("example.com")
	s.edit(recordFile, "count: 5", "count: 12")
	plan := s.plan()
	s.putRecord(types.ChangeActionCreate, zone, "host-7.example.com", "192.0.2.99") // after the plan
	_, err := Apply(context.Background(), s.options(), plan)
	wantError(t, err, "host-7.example.com A is there already in zone "+zone+", and Goldline did not make it")
	got := s.records(zone)
	if !slices.Contains(got, "host-7.example.com A 192.0.2.99") {
		t.Errorf("somebody's record is gone: %q", got)
	}
	s.putRecord(types.ChangeActionDelete, zone, "host-7.example.com", "192.0.2.99")
	s.launch()
	s.settled()
	if got := s.records(zone); len(got) != 12 {
		t.Errorf("%d records", len(got))
	}
}
