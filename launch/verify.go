package launch

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
)

// verify asks the region what the definitions alone cannot tell, and only about
// what is going to be made or changed: whether its zones, instance types
// and instance profiles exist there, whether a type runs the architecture of its
// image, and whether it takes the addresses that it is given.
func (p *planner) verify(ctx context.Context) error {
	var problems diag.List
	if err := p.verifyZones(ctx, &problems); err != nil {
		return err
	}
	if err := p.verifyTypes(ctx, &problems); err != nil {
		return err
	}
	if err := p.verifyAddresses(ctx, &problems); err != nil {
		return err
	}
	if err := p.verifyProfiles(ctx, &problems); err != nil {
		return err
	}
	return problems.Err()
}

func (p *planner) verifyZones(ctx context.Context, problems *diag.List) error {
	var wanted []*item
	for _, it := range p.items {
		if it.made() && zoneOf(it.spec) != "" {
			wanted = append(wanted, it)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	zones, err := p.regionZones(ctx)
	if cloud.Denied(err) {
		return nil // whoever may not ask is told by the call that uses the zone
	}
	if err != nil {
		return err
	}
	for _, it := range wanted {
		if zone := p.zone(zoneOf(it.spec)); !has(zones, zone) && !local(zone) {
			problems.AddHint(it.At("availability_zone"), fmt.Sprintf("%s has %v", p.region, zones), "%s: no zone %s in region %s", it.Address, zone, p.region)
		}
	}
	return nil
}

// local tells whether a name is that of a local zone, a wavelength zone or the
// like, which a region shows only to those who have asked for it.
func local(zone string) bool {
	m := zoneForm.FindStringSubmatch(zone)
	return m != nil && len(m[3]) > 1
}

// zoneOf is the zone that a definition states.
func zoneOf(spec any) string {
	v := reflect.Indirect(reflect.ValueOf(spec))
	if v.Kind() != reflect.Struct {
		return ""
	}
	if f := v.FieldByName("AvailabilityZone"); f.IsValid() && f.Kind() == reflect.String {
		return f.String()
	}
	return ""
}

// instanceTypes are the architectures of those of the types that the region
// has, of each of which it is asked once.
func (w *world) instanceTypes(ctx context.Context, names []string) (map[string][]string, error) {
	if w.offered == nil {
		w.offered, w.ipv4 = map[string][]string{}, map[string]int{}
	}
	unknown := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return w.offered[name] != nil })
	err := cloud.Batches(unknown, maxFilterValues, func(names []string) error {
		in := &ec2.DescribeInstanceTypesInput{Filters: []types.Filter{cloud.Filter("instance-type", names...)}, MaxResults: aws.Int32(100)}
		return each(ctx, ec2.NewDescribeInstanceTypesPaginator(w.Cloud.EC2, in), func(page *ec2.DescribeInstanceTypesOutput) {
			for _, t := range page.InstanceTypes {
				architectures := []string{} // known, whatever EC2 says of them
				if t.ProcessorInfo != nil {
					for _, a := range t.ProcessorInfo.SupportedArchitectures {
						architectures = append(architectures, string(a))
					}
				}
				w.offered[string(t.InstanceType)] = architectures
				if t.NetworkInfo != nil {
					w.ipv4[string(t.InstanceType)] = int(aws.ToInt32(t.NetworkInfo.Ipv4AddressesPerInterface))
				}
			}
		})
	})
	return w.offered, err
}
