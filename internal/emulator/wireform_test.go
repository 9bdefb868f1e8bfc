package emulator

import (
	"context"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func decodeRun(t *testing.T, query string) (*ec2.RunInstancesInput, error) {
	t.Helper()
	wires, err := newWires()
	if err != nil {
		t.Fatal(err)
	}
	form, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	in := &ec2.RunInstancesInput{}
	return in, wires["ec2"].decodeForm(form, reflect.ValueOf(in).Elem())
}

func TestDecodeForm(t *testing.T) {
	in, err := decodeRun(t, "Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=2&InstanceType=t3.micro"+
		"&BlockDeviceMapping.1.DeviceName=/dev/sda1&BlockDeviceMapping.1.Ebs.VolumeSize=8&BlockDeviceMapping.1.Ebs.Encrypted=true"+
		"&TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.2.Key=b&TagSpecification.1.Tag.2.Value=&TagSpecification.1.Tag.10.Key=c&TagSpecification.1.Tag.1.Key=a"+
		"&SecurityGroupId.1=sg-1&NetworkInterface.1.SecurityGroupId.1=sg-2&NetworkInterface.1.DeviceIndex=0")
	if err != nil {
		t.Fatal(err)
	}
	want := &ec2.RunInstancesInput{
		MinCount: aws.Int32(1), MaxCount: aws.Int32(2), InstanceType: types.InstanceTypeT3Micro,
		BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sda1"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(8), Encrypted: aws.Bool(true)}}},
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{
			{Key: aws.String("a")}, {Key: aws.String("b"), Value: aws.String("")}, {Key: aws.String("c")},
		}}},
		SecurityGroupIds:  []string{"sg-1"},
		NetworkInterfaces: []types.InstanceNetworkInterfaceSpecification{{Groups: []string{"sg-2"}, DeviceIndex: aws.Int32(0)}},
	}
	if !reflect.DeepEqual(in, want) {
		t.Errorf("decoded %+v", in)
	}
}

func TestDecodeFormRefuses(t *testing.T) {
	const good = "MinCount=1&MaxCount=1&"
	for query, want := range map[string]string{
		"MaxCount=1":                            "MissingParameter: The request must contain the parameter MinCount",
		good + "Colour=red":                     "UnknownParameter: The parameter Colour is not recognized",
		good + "InstanceTypes=t3.micro":         "UnknownParameter: The parameter InstanceTypes is not recognized",
		good + "Placement.Room=1":               "UnknownParameter: The parameter Placement.Room is not recognized",
		good + "ImageId.1=ami-1":                "UnknownParameter: The parameter ImageId.1 is not recognized",
		good + "SecurityGroupId=sg-1":           "UnknownParameter: The parameter SecurityGroupId is a list",
		good + "SecurityGroupId.a=sg-1":         "UnknownParameter: The parameter SecurityGroupId.a is not recognized",
		good + "Placement=here":                 "InvalidParameterValue: The parameter Placement has parts",
		good + "EbsOptimized=maybe":             "InvalidParameterValue: Invalid value 'maybe' for EbsOptimized: not true or false",
		"MinCount=one&MaxCount=1":               "InvalidParameterValue: Invalid value 'one' for MinCount: not a whole number",
		"MinCount=1&MaxCount=99999999999":       "InvalidParameterValue: Invalid value '99999999999' for MaxCount",
		good + "InstanceType=t3.gigantic":       "InvalidParameterValue: Invalid value 't3.gigantic' for InstanceType",
		"MinCount=1&MinCount=2&MaxCount=1":      "InvalidParameterValue: The parameter MinCount is given more than once",
		good + strings.Repeat("A.", 40) + "A=1": "nests too deep",
	} {
		if _, err := decodeRun(t, query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", query, err, want)
		}
	}
}

func FuzzDecodeForm(f *testing.F) {
	wires, err := newWires()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("MinCount=1&MaxCount=1&TagSpecification.1.Tag.1.Key=a")
	f.Add("Filter.1.Value.1=x&.=&a..b=c&1.1=1")
	f.Fuzz(func(t *testing.T, query string) {
		form, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		for _, in := range []any{&ec2.RunInstancesInput{}, &ec2.DescribeInstancesInput{}} {
			_ = wires["ec2"].decodeForm(form, reflect.ValueOf(in).Elem()) // refused or not, it ends
		}
	})
}

// What an answer has and has not: the output's own lists always, nested ones
// unless nil, and no enum or pointer without a value.
func TestEncodeXML(t *testing.T) {
	wires, err := newWires()
	if err != nil {
		t.Fatal(err)
	}
	w := wires["ec2"]
	at := time.Date(2026, 1, 31, 12, 0, 0, 5e6, time.FixedZone("", 3600))
	for name, c := range map[string]struct {
		action string
		output any
		want   string
	}{
		"no results": {"DescribeVpcs", &ec2.DescribeVpcsOutput{}, "<vpcSet/>"},
		"nil and empty": {"DescribeVolumes", &ec2.DescribeVolumesOutput{Volumes: []types.Volume{{
			VolumeId: aws.String("vol-1"), Attachments: []types.VolumeAttachment{}, CreateTime: &at, Size: aws.Int32(0), KmsKeyId: aws.String(""),
		}}}, "<volumeSet><item><attachmentSet/><createTime>2026-01-31T11:00:00.005Z</createTime><kmsKeyId></kmsKeyId><size>0</size><volumeId>vol-1</volumeId></item></volumeSet>"},
		"an attribute":   {"DescribeImageAttribute", &ec2.DescribeImageAttributeOutput{ImageId: aws.String("ami-1")}, "<imageId>ami-1</imageId>"},
		"nothing to say": {"DeleteVpc", &ec2.DeleteVpcOutput{}, "<return>true</return>"},
	} {
		want := xmlHeader + "<" + c.action + `Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>id</requestId>` + c.want + "</" + c.action + "Response>"
		if got := string(w.encodeXML(c.action, "id", c.output)); got != want {
			t.Errorf("%s: %s\nnot %s", name, got, want)
		}
	}
}

func TestDryRun(t *testing.T) {
	cloud := newTestCloud(t, Options{})
	ran := 0
	handle(cloud.registry, "ec2", "CreateVpc", func(ctx context.Context, in *ec2.CreateVpcInput) (*ec2.CreateVpcOutput, error) {
		cloud.Cloud.ssm.put(callerOf(ctx).world(), parameter{Name: "made", Versions: make([]parameterVersion, 1)})
		if ran++; in.CidrBlock == nil {
			return nil, refuse("InvalidVpc.Range", "no")
		}
		return &ec2.CreateVpcOutput{}, nil
	})
	_, err := cloud.ec2.CreateVpc(t.Context(), &ec2.CreateVpcInput{DryRun: aws.Bool(true), CidrBlock: aws.String("10.0.0.0/16")})
	wantCode(t, err, "DryRunOperation")
	_, err = cloud.ec2.CreateVpc(t.Context(), &ec2.CreateVpcInput{DryRun: aws.Bool(true)})
	wantCode(t, err, "InvalidVpc.Range")
	left, err := cloud.Inventory()
	if err != nil || ran != 2 || len(left[defaultAccount+"/"+testRegion+" parameters"]) != 0 {
		t.Errorf("ran %d times, left %v (%v)", ran, left, err)
	}
}
