package emulator

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/smithy-go"
)

// domains is Route 53 of a cloud, with the default VPC.
type domains struct {
	*testCloud
	dns *route53.Client
	vpc types.VPC
}

func newDomains(t *testing.T, c *testCloud) *domains {
	t.Helper()
	vpcs := must(c.ec2.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{}))(t).Vpcs
	return &domains{c, route53.NewFromConfig(configOf(c.Transport(), "AKIDLOCAL", "", "us-east-1")), types.VPC{VPCId: vpcs[0].VpcId, VPCRegion: testRegion}}
}

func (n *domains) zone(t *testing.T, name string, private bool) string {
	t.Helper()
	in := &route53.CreateHostedZoneInput{Name: &name, CallerReference: new(name + " " + t.Name())}
	if private {
		in.VPC = &n.vpc
	}
	return *must(n.dns.CreateHostedZone(t.Context(), in))(t).HostedZone.Id
}

func recordSet(name string, kind types.RRType, values ...string) *types.ResourceRecordSet {
	set := &types.ResourceRecordSet{Name: &name, Type: kind, TTL: new(int64(60))}
	for _, v := range values {
		set.ResourceRecords = append(set.ResourceRecords, types.ResourceRecord{Value: &v})
	}
	return set
}

func weighted(set *types.ResourceRecordSet, id string, weight int64) *types.ResourceRecordSet {
	set.SetIdentifier, set.Weight = &id, &weight
	return set
}

func (n *domains) change(t *testing.T, zone string, action types.ChangeAction, sets ...*types.ResourceRecordSet) error {
	t.Helper()
	batch := &types.ChangeBatch{}
	for _, set := range sets {
		batch.Changes = append(batch.Changes, types.Change{Action: action, ResourceRecordSet: set})
	}
	_, err := n.dns.ChangeResourceRecordSets(t.Context(), &route53.ChangeResourceRecordSetsInput{HostedZoneId: &zone, ChangeBatch: batch})
	return err
}

// records are a zone's, in the order and over the pages of the given size.
func (n *domains) records(t *testing.T, zone string, size int32) []string {
	t.Helper()
	var list []string
	pages := route53.NewListResourceRecordSetsPaginator(n.dns, &route53.ListResourceRecordSetsInput{HostedZoneId: &zone, MaxItems: &size})
	for pages.HasMorePages() {
		for _, set := range must(pages.NextPage(t.Context()))(t).ResourceRecordSets {
			list = append(list, strings.TrimSpace(*set.Name+" "+string(set.Type)+" "+deref(set.SetIdentifier)))
		}
	}
	return list
}

func TestHostedZoneOnADrivenClock(t *testing.T) {
	c, clock := driven(t)
	n := newDomains(t, c)
	ctx := t.Context()
	before := must(c.Inventory())(t)
	out := must(n.dns.CreateHostedZone(ctx, &route53.CreateHostedZoneInput{Name: new("Example.COM"), CallerReference: new("one"), HostedZoneConfig: &types.HostedZoneConfig{Comment: new("ours")}}))(t)
	if *out.HostedZone.Name != "example.com." || len(out.DelegationSet.NameServers) != 4 || !strings.HasSuffix(*out.Location, strings.TrimPrefix(*out.HostedZone.Id, "/")) || *out.HostedZone.ResourceRecordSetCount != 2 {
		t.Errorf("the zone is %+v at %s", out.HostedZone, *out.Location)
	}
	state := func() types.ChangeStatus {
		return must(n.dns.GetChange(ctx, &route53.GetChangeInput{Id: out.ChangeInfo.Id}))(t).ChangeInfo.Status
	}
	if got := state(); got != types.ChangeStatusPending {
		t.Errorf("a new change is %s", got)
	}
	clock.Advance(time.Second)
	if got := state(); got != types.ChangeStatusInsync {
		t.Errorf("a change is %s after a while", got)
	}
	zone := *out.HostedZone.Id
	_, err := n.dns.CreateHostedZone(ctx, &route53.CreateHostedZoneInput{Name: new("example.com"), CallerReference: new("one")})
	wantCode(t, err, "HostedZoneAlreadyExists")
	must(n.dns.ChangeTagsForResource(ctx, &route53.ChangeTagsForResourceInput{ResourceType: types.TagResourceTypeHostedzone, ResourceId: &zone,
		AddTags: []types.Tag{{Key: new("env"), Value: new("dev")}, {Key: new("b"), Value: new("")}}}))(t)
	tags := must(n.dns.ListTagsForResources(ctx, &route53.ListTagsForResourcesInput{ResourceType: types.TagResourceTypeHostedzone, ResourceIds: []string{zone[len("/hostedzone/"):]}}))(t).ResourceTagSets
	if len(tags) != 1 || len(tags[0].Tags) != 2 || *tags[0].Tags[1].Value != "dev" {
		t.Errorf("tags %+v", tags)
	}
	www := recordSet("www.example.com", types.RRTypeA, "192.0.2.1")
	if err := n.change(t, zone, types.ChangeActionCreate, www); err != nil {
		t.Fatal(err)
	}
	_, err = n.dns.DeleteHostedZone(ctx, &route53.DeleteHostedZoneInput{Id: &zone})
	wantCode(t, err, "HostedZoneNotEmpty")
	if err := n.change(t, zone, types.ChangeActionDelete, www); err != nil {
		t.Fatal(err)
	}
	must(n.dns.DeleteHostedZone(ctx, &route53.DeleteHostedZoneInput{Id: &zone}))(t)
	_, err = n.dns.GetHostedZone(ctx, &route53.GetHostedZoneInput{Id: &zone})
	wantCode(t, err, "NoSuchHostedZone")
	_, err = n.dns.CreateHostedZone(ctx, &route53.CreateHostedZoneInput{Name: new("example.com"), CallerReference: new("one")})
	wantCode(t, err, "HostedZoneAlreadyExists") // a reference is never free again
	if after := must(c.Inventory())(t); !maps.EqualFunc(before, after, slices.Equal) {
		t.Errorf("left behind: %v", after)
	}
}

func TestPrivateHostedZone(t *testing.T) {
	n := newDomains(t, newTestCloud(t, Options{}))
	ctx := t.Context()
	zone := n.zone(t, "internal", true)
	second := types.VPC{VPCId: must(n.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")}))(t).Vpc.VpcId, VPCRegion: testRegion}
	must(n.dns.AssociateVPCWithHostedZone(ctx, &route53.AssociateVPCWithHostedZoneInput{HostedZoneId: &zone, VPC: &second}))(t)
	got := must(n.dns.GetHostedZone(ctx, &route53.GetHostedZoneInput{Id: &zone}))(t)
	if got.DelegationSet != nil || !got.HostedZone.Config.PrivateZone || len(got.VPCs) != 2 {
		t.Errorf("the zone is %+v", got)
	}
	if list := must(n.dns.ListHostedZonesByVPC(ctx, &route53.ListHostedZonesByVPCInput{VPCId: second.VPCId, VPCRegion: testRegion}))(t).HostedZoneSummaries; len(list) != 1 || *list[0].Name != "internal." {
		t.Errorf("the VPC has %+v", list)
	}
	_, err := n.dns.CreateHostedZone(ctx, &route53.CreateHostedZoneInput{Name: new("internal"), CallerReference: new("two"), VPC: &second})
	wantCode(t, err, "ConflictingDomainExists")
	_, err = n.dns.CreateHostedZone(ctx, &route53.CreateHostedZoneInput{Name: new("x"), CallerReference: new("two"), VPC: &types.VPC{VPCId: new("vpc-0123456789abcdef0"), VPCRegion: testRegion}})
	wantCode(t, err, "InvalidVPCId")
	off := func(v types.VPC) error {
		_, err := n.dns.DisassociateVPCFromHostedZone(ctx, &route53.DisassociateVPCFromHostedZoneInput{HostedZoneId: &zone, VPC: &v})
		return err
	}
	wantCode(t, off(second), "")
	wantCode(t, off(second), "VPCAssociationNotFound")
	wantCode(t, off(n.vpc), "LastVPCAssociation")
	public := n.zone(t, "example.com", false)
	_, err = n.dns.AssociateVPCWithHostedZone(ctx, &route53.AssociateVPCWithHostedZoneInput{HostedZoneId: &public, VPC: &second})
	wantCode(t, err, "PublicZoneVPCAssociation")
	pages := route53.NewListHostedZonesPaginator(n.dns, &route53.ListHostedZonesInput{MaxItems: new(int32(1))})
	count := 0
	for pages.HasMorePages() {
		count += len(must(pages.NextPage(ctx))(t).HostedZones)
	}
	byName := must(n.dns.ListHostedZonesByName(ctx, &route53.ListHostedZonesByNameInput{DNSName: new("f.com")}))(t).HostedZones
	if count != 2 || len(byName) != 1 || *byName[0].Name != "internal." {
		t.Errorf("%d zones, by name %+v", count, byName)
	}
}

func TestRecordSets(t *testing.T) {
	n := newDomains(t, newTestCloud(t, Options{}))
	zone := n.zone(t, "example.com", false)
	alias := &types.ResourceRecordSet{Name: new("example.com"), Type: types.RRTypeA, AliasTarget: &types.AliasTarget{HostedZoneId: &zone, DNSName: new("www.example.com")}}
	err := n.change(t, zone, types.ChangeActionCreate, alias,
		recordSet("www.example.com", types.RRTypeA, "192.0.2.2", "192.0.2.1"), recordSet("www.example.com", types.RRTypeAaaa, "2001:db8::1"),
		recordSet("*.example.com", types.RRTypeTxt, `"v=1; a" "b"`), recordSet("b.a.example.com", types.RRTypeMx, "10 mail.example.com"),
		weighted(recordSet("w.example.com", types.RRTypeA, "192.0.2.3"), "two", 1), weighted(recordSet("w.example.com", types.RRTypeA, "192.0.2.4"), "one", 0))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"example.com. A", "example.com. NS", "example.com. SOA", `\052.example.com. TXT`, "b.a.example.com. MX",
		"w.example.com. A one", "w.example.com. A two", "www.example.com. A", "www.example.com. AAAA"}
	for _, size := range []int32{1, 2, 300} {
		if got := n.records(t, zone, size); !slices.Equal(got, want) {
			t.Errorf("pages of %d: %v, not %v", size, got, want)
		}
	}
	moved := types.ChangeBatch{Changes: []types.Change{
		{Action: types.ChangeActionDelete, ResourceRecordSet: recordSet("www.example.com.", types.RRTypeAaaa, "2001:db8::1")},
		{Action: types.ChangeActionUpsert, ResourceRecordSet: recordSet("www.example.com.", types.RRTypeA, "192.0.2.9")},
		{Action: types.ChangeActionDelete, ResourceRecordSet: recordSet("nowhere.example.com.", types.RRTypeA, "192.0.2.9")},
	}}
	_, err = n.dns.ChangeResourceRecordSets(t.Context(), &route53.ChangeResourceRecordSetsInput{HostedZoneId: &zone, ChangeBatch: &moved})
	wantMessage(t, err, "[Tried to delete resource record set [name='nowhere.example.com.', type='A'] but it was not found]")
	if got := n.records(t, zone, 300); !slices.Equal(got, want) {
		t.Errorf("a batch that failed has left %v", got)
	}
}

func wantMessage(t *testing.T, err error, message string) {
	t.Helper()
	wantCode(t, err, "InvalidChangeBatch")
	var e smithy.APIError
	if errors.As(err, &e) && e.ErrorMessage() != message {
		t.Errorf("the message is %q, not %q", e.ErrorMessage(), message)
	}
}

func TestRecordErrors(t *testing.T) {
	n := newDomains(t, newTestCloud(t, Options{}))
	zone := n.zone(t, "example.com", false)
	txt := func(name string) *types.ResourceRecordSet {
		return recordSet(name+".example.com", types.RRTypeTxt, `"x"`)
	}
	if err := n.change(t, zone, types.ChangeActionCreate, recordSet("c.example.com", types.RRTypeCname, "x.test"), recordSet("www.example.com", types.RRTypeA, "192.0.2.1")); err != nil {
		t.Fatal(err)
	}
	var many []*types.ResourceRecordSet
	for range maxBatchRecords/2 + 1 {
		many = append(many, txt("www"))
	}
	gone := &types.ResourceRecordSet{Name: new("a.example.com"), Type: types.RRTypeA, AliasTarget: &types.AliasTarget{HostedZoneId: &zone, DNSName: new("none.example.com.")}}
	for _, test := range []struct {
		action  types.ChangeAction
		sets    []*types.ResourceRecordSet
		message string
	}{
		{types.ChangeActionCreate, []*types.ResourceRecordSet{recordSet("www.example.com", types.RRTypeA, "192.0.2.1")}, "[Tried to create resource record set [name='www.example.com.', type='A'] but it already exists]"},
		{types.ChangeActionDelete, []*types.ResourceRecordSet{recordSet("www.example.com", types.RRTypeA, "192.0.2.2")}, "[Tried to delete resource record set [name='www.example.com.', type='A'] but the values provided do not match the current values]"},
		{types.ChangeActionCreate, []*types.ResourceRecordSet{recordSet("www.test", types.RRTypeA, "192.0.2.1")}, "[RRSet with DNS name www.test. is not permitted in zone example.com.]"},
		{types.ChangeActionCreate, []*types.ResourceRecordSet{txt("c")}, "[RRSet of type TXT with DNS name c.example.com. is not permitted because a conflicting RRSet of type  CNAME with the same DNS name already exists in zone example.com.]"},
		{types.ChangeActionCreate, []*types.ResourceRecordSet{recordSet("www.example.com", types.RRTypeCname, "x.test")}, "[RRSet of type CNAME with DNS name www.example.com. is not permitted as it conflicts with other records with the same DNS name in zone example.com.]"},
		{types.ChangeActionCreate, []*types.ResourceRecordSet{recordSet("d.example.com", types.RRTypeA, "x")}, "[Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) encountered with 'x'']"},
		{types.ChangeActionCreate, []*types.ResourceRecordSet{recordSet("d.example.com", types.RRTypeTxt, "x")}, "[Invalid Resource Record: 'FATAL problem: InvalidCharacterString (Value should be enclosed in quotation marks) encountered with 'x'']"},
		{types.ChangeActionUpsert, []*types.ResourceRecordSet{txt("d"), txt("d")}, "[The request contains an invalid set of changes for a resource record set 'TXT d.example.com.']"},
		{types.ChangeActionUpsert, many, "[Number of records limit of 1000 exceeded.]"},
		{types.ChangeActionCreate, []*types.ResourceRecordSet{gone}, "[Tried to create an alias that targets none.example.com., type A in zone " + zone[len("/hostedzone/"):] + ", but that target was not found]"},
	} {
		t.Run(test.message, func(t *testing.T) { wantMessage(t, n.change(t, zone, test.action, test.sets...), test.message) })
	}
	wantCode(t, n.change(t, zone, types.ChangeActionCreate, &types.ResourceRecordSet{Name: new("e.example.com"), Type: types.RRTypeA}), "InvalidInput")
	wantCode(t, n.change(t, zone, types.ChangeActionCreate, &types.ResourceRecordSet{Name: new("e.example.com"), Type: types.RRTypeA, Failover: types.ResourceRecordSetFailoverPrimary}), "UnsupportedOperation")
	wantCode(t, n.change(t, "Z00000000000000000000", types.ChangeActionCreate, txt("e")), "NoSuchHostedZone")
	_, err := n.dns.CreateHealthCheck(t.Context(), &route53.CreateHealthCheckInput{CallerReference: new("x"), HealthCheckConfig: &types.HealthCheckConfig{Type: types.HealthCheckTypeTcp}})
	wantCode(t, err, "InvalidAction")
}

// All of Route 53's calls share one bucket, whatever the region.
func TestRoute53Bucket(t *testing.T) {
	clock := NewDrivenClock(time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC))
	c := newTestCloud(t, Options{Clock: clock, Buckets: true})
	ask := func(region string) error {
		_, err := route53.NewFromConfig(configOf(c.Transport(), "AKIDLOCAL", "", region)).ListHostedZones(t.Context(), &route53.ListHostedZonesInput{})
		return err
	}
	for i := range 5 {
		wantCode(t, ask([]string{"us-east-1", testRegion}[i%2]), "")
	}
	wantCode(t, ask("us-east-1"), "Throttling")
	clock.Advance(time.Second)
	wantCode(t, ask("us-east-1"), "")
}

func TestRoute53OfOthers(t *testing.T) {
	url := serve(t, newTestCloud(t, Options{}).Cloud)
	zone := awsCLI(t, url, "route53", "create-hosted-zone", "--name", "example.com", "--caller-reference", "cli")["HostedZone"].(map[string]any)["Id"].(string)
	awsCLI(t, url, "route53", "change-resource-record-sets", "--hosted-zone-id", zone, "--change-batch",
		`{"Changes": [{"Action": "CREATE", "ResourceRecordSet": {"Name": "www.example.com", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}}]}`)
	out := python(t, url, `
import boto3
from botocore.exceptions import ClientError

dns = boto3.client("route53")
zone = dns.list_hosted_zones()["HostedZones"][0]["Id"]
pages = dns.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone, PaginationConfig={"PageSize": 1})
print([(r["Name"], r["Type"], r["TTL"]) for page in pages for r in page["ResourceRecordSets"]])
change = {"Action": "CREATE", "ResourceRecordSet": {"Name": "www.example.com", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}}
try:
    dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [change]})
except ClientError as e:
    print(e)
info = dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [dict(change, Action="DELETE")]})["ChangeInfo"]
dns.get_waiter("resource_record_sets_changed").wait(Id=info["Id"], WaiterConfig={"Delay": 1})
dns.delete_hosted_zone(Id=zone)
print(dns.list_hosted_zones()["HostedZones"])
`)
	want := `[('example.com.', 'NS', 172800), ('example.com.', 'SOA', 900), ('www.example.com.', 'A', 60)]
An error occurred (InvalidChangeBatch) when calling the ChangeResourceRecordSets operation: [Tried to create resource record set [name='www.example.com.', type='A'] but it already exists]
[]
`
	if out != want {
		t.Errorf("boto3 saw:\n%s\nnot:\n%s", out, want)
	}
}
