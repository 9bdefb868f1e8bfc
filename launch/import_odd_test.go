package launch

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestImportOfOddNames: names that YAML, references or files would take for
// something else are told apart, and come back as they are.
func TestImportOfOddNames(t *testing.T) {
	s := newSite(t, nil)
	names := []string{
		"web.1", "web-1", "Web 1", `"quoted" 'twice'`, "${vpc.web-1.id}", "$${var.x}", "${x}", "${", "a\nb: c", " led", "\ttab\r\n", "# no: {comment}", "- dash", "null", "true", "1e3", "0x1f", "~",
		"end\u2028of line", "Ünïcode 🚀", `C:\path\n`, "*anchor", "!tag", strings.Repeat("long ", 51), "", "...", "con/../../x",
	}
	for i, name := range names {
		in := &ec2.CreateVpcInput{CidrBlock: aws.String(fmt.Sprintf("10.%d.0.0/16", i)), TagSpecifications: spec(types.ResourceTypeVpc, name, "odd: ${key}", name)}
		vpc := must[*ec2.CreateVpcOutput](t)(s.cloud.EC2.CreateVpc(t.Context(), in)).Vpc.VpcId
		// What hangs on them has no name: the VPC tells it.
		gateway := must[*ec2.CreateInternetGatewayOutput](t)(s.cloud.EC2.CreateInternetGateway(t.Context(), &ec2.CreateInternetGatewayInput{})).InternetGateway.InternetGatewayId
		must[*ec2.AttachInternetGatewayOutput](t)(s.cloud.EC2.AttachInternetGateway(t.Context(), &ec2.AttachInternetGatewayInput{InternetGatewayId: gateway, VpcId: vpc}))
	}
	found := s.importAll(ImportOptions{})
	s.keptAsItIs()
	if len(found.Definitions) != 2*len(names) || len(found.LeftOut) > 0 {
		t.Errorf("%d of %d\n%s", len(found.Definitions), 2*len(names), found.text())
	}
	seen := map[string]bool{}
	for _, d := range found.Definitions {
		if key := strings.ToLower(d.Address()); seen[key] {
			t.Errorf("%s would be the file of another one, too", d.Address())
		} else {
			seen[key] = true
		}
	}
	if again := s.importAll(ImportOptions{}); len(again.Definitions) > 0 {
		t.Errorf("a second import finds %s", again.text())
	}
}

// TestImportCallsGrowWithPages: an import, and a plan after it, make a call more
// for a page of resources, not one for each.
func TestImportCallsGrowWithPages(t *testing.T) {
	s := newSite(t, nil)
	s.others()
	table := func(name string) {
		vpc := must[*ec2.DescribeVpcsOutput](t)(s.cloud.EC2.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{Filters: []types.Filter{{Name: aws.String("tag:Name"), Values: []string{"legacy"}}}})).Vpcs[0].VpcId
		must[*ec2.CreateRouteTableOutput](t)(s.cloud.EC2.CreateRouteTable(t.Context(), &ec2.CreateRouteTableInput{VpcId: vpc, TagSpecifications: spec(types.ResourceTypeRouteTable, name)}))
	}
	count := func() (imported, planned int) {
		s.local.ResetCalls()
		s.importAll(ImportOptions{})
		imported = len(s.local.Calls())
		s.local.ResetCalls()
		s.settled()
		return imported, len(s.local.Calls())
	}
	table("first")
	count()
	fewImported, fewPlanned := count()
	for i := range 101 { // EC2 gives a hundred a page
		table(fmt.Sprintf("table %d", i))
	}
	if found, _ := count(); found != fewImported+1 {
		t.Errorf("an import makes %d calls for 102 tables, %d for one", found, fewImported)
	}
	// What is adopted by a hundred names is found in one list, what is there in another.
	if found, planned := count(); found > fewImported+2 || planned > fewPlanned+2 {
		t.Errorf("with 102 definitions an import makes %d calls and a plan %d, with one %d and %d", found, planned, fewImported, fewPlanned)
	}
}
