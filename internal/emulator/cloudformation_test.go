package emulator

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

const stackTemplate = `
AWSTemplateFormatVersion: "2010-09-09"
Description: network of ${Name}
Parameters:
  Name: {Type: String, AllowedPattern: "[a-z]+"}
  Zones: {Type: CommaDelimitedList, Default: "a,b"}
  Size: {Type: Number, Default: 3}
  Secret: {Type: String, NoEcho: true, Default: hidden}
Resources:
  Wait: {Type: "AWS::CloudFormation::WaitConditionHandle"}
  Purpose:
    Type: AWS::SSM::Parameter
    Properties: {Name: !Sub "/${AWS::StackName}/purpose", Type: String, Value: !Ref Name}
Outputs:
  Literal: {Value: vpc-0123456789abcdef0}
  Number: {Value: !Ref Size}
  Joined: {Value: !Join ["-", [!Ref Name, Fn::Join: ["+", !Ref Zones]]]}
  Sub: {Value: !Sub ["${Name}.${Own}.${AWS::Region}.${!Kept}", {Own: !Ref Size}], Description: all of it}
  Made: {Value: !GetAtt Purpose.Value}
  Exported: {Value: !Ref Purpose, Export: {Name: !Sub "${Name}-purpose"}}
`

type stackClient struct {
	*cloudformation.Client
	cloud *testCloud
	t     *testing.T
}

func newStackClient(t *testing.T) (*stackClient, *DrivenClock) {
	clock := NewDrivenClock(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	c := newTestCloud(t, Options{Clock: clock})
	return &stackClient{cloudformation.NewFromConfig(configOf(c.Transport(), "AKIDLOCAL", "", testRegion)), c, t}, clock
}

func stackParameters(pairs ...string) []types.Parameter {
	var list []types.Parameter
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, types.Parameter{ParameterKey: &pairs[i], ParameterValue: &pairs[i+1]})
	}
	return list
}

func (c *stackClient) make(name, template string, parameters ...string) error {
	_, err := c.CreateStack(c.t.Context(), &cloudformation.CreateStackInput{StackName: &name, TemplateBody: &template, Parameters: stackParameters(parameters...)})
	return err
}

func (c *stackClient) stack(name string) types.Stack {
	c.t.Helper()
	out, err := c.DescribeStacks(c.t.Context(), &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil || len(out.Stacks) != 1 {
		c.t.Fatalf("stack %s: %+v, %v", name, out, err)
	}
	return out.Stacks[0]
}

func outputsOf(s types.Stack) map[string]string {
	all := map[string]string{}
	for _, o := range s.Outputs {
		all[*o.OutputKey] = *o.OutputValue
	}
	return all
}

func TestStackLife(t *testing.T) {
	c, clock := newStackClient(t)
	before, err := c.cloud.Inventory()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.make("net", stackTemplate, "Name", "web"); err != nil {
		t.Fatal(err)
	}
	if s := c.stack("net"); s.StackStatus != types.StackStatusCreateInProgress || len(s.Outputs) != 0 {
		t.Errorf("a new stack is %+v", s)
	}
	clock.Advance(time.Second)
	s := c.stack("net")
	want := map[string]string{"Literal": "vpc-0123456789abcdef0", "Number": "3", "Joined": "web-a+b", "Sub": "web.3.eu-central-1.${Kept}", "Made": "web", "Exported": "/net/purpose"}
	for key, value := range outputsOf(s) {
		if want[key] != value {
			t.Errorf("output %s is %q", key, value)
		}
	}
	if s.StackStatus != types.StackStatusCreateComplete || len(s.Outputs) != len(want) || *s.Parameters[len(s.Parameters)-3].ParameterKey != "Secret" || *s.Parameters[len(s.Parameters)-3].ParameterValue != "****" {
		t.Errorf("stack %+v", s)
	}
	exports := must(c.ListExports(t.Context(), &cloudformation.ListExportsInput{}))(t).Exports
	if len(exports) != 1 || *exports[0].Name != "web-purpose" || *exports[0].Value != "/net/purpose" {
		t.Errorf("exports %+v", exports)
	}
	wantCode(t, c.make("net", stackTemplate, "Name", "web"), "AlreadyExistsException")

	// Another one that exports the same goes back, and makes nothing.
	if err := c.make("net2", stackTemplate, "Name", "web"); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Second)
	if s := c.stack("net2"); s.StackStatus != types.StackStatusRollbackComplete || !strings.Contains(*s.StackStatusReason, "Export with name web-purpose is already exported by stack net") {
		t.Errorf("stack %+v", s)
	}
	c.update(clock)
	for _, name := range []string{"net", "net2", "never"} {
		must(c.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: &name}))(t)
	}
	clock.Advance(time.Second)
	_, err = c.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: new("net")})
	wantCode(t, err, "ValidationError")
	listed := must(c.ListStacks(t.Context(), &cloudformation.ListStacksInput{StackStatusFilter: []types.StackStatus{types.StackStatusDeleteComplete}}))(t)
	if len(listed.StackSummaries) != 2 || *c.stack(*s.StackId).StackId != *s.StackId {
		t.Errorf("deleted stacks %+v", listed)
	}
	after, err := c.cloud.Inventory()
	if err != nil || len(after) != len(before) {
		t.Errorf("left: %v, %v", after, err)
	}
}

func (c *stackClient) update(clock *DrivenClock) {
	c.t.Helper()
	ctx := c.t.Context()
	_, err := c.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: new("net"), UsePreviousTemplate: new(true), Parameters: []types.Parameter{{ParameterKey: new("Name"), UsePreviousValue: new(true)}}})
	wantCode(c.t, err, "ValidationError")
	must(c.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: new("net"), UsePreviousTemplate: new(true), Parameters: stackParameters("Name", "db")}))(c.t)
	clock.Advance(time.Second)
	if s := c.stack("net"); s.StackStatus != types.StackStatusUpdateComplete || outputsOf(s)["Joined"] != "db-a+b" {
		c.t.Errorf("stack %+v", s)
	}
	p := must(c.cloud.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: new("/net/purpose")}))(c.t)
	if *p.Parameter.Value != "db" {
		c.t.Errorf("parameter %+v", p)
	}
}

func TestStackRefused(t *testing.T) {
	c, _ := newStackClient(t)
	const resource = "Resources: {A: {Type: 'AWS::CloudFormation::WaitConditionHandle'}}\n"
	for template, want := range map[string]string{
		"": "Template Body must be specified", "a: [": "Template format error", "Outputs: {A: {Value: b}}": "At least one Resources member",
		"Resources: {A: {Type: 'AWS::S3::Bucket'}}":                                                                   "Unrecognized resource types: [AWS::S3::Bucket]",
		"Conditions: {}\n" + resource:                                                                                 "evaluates no section Conditions",
		resource + "Outputs: {A: {Value: !Ref B}}":                                                                    "Unresolved resource dependencies [B]",
		resource + "Outputs: {A: {Value: !ImportValue b}}":                                                            "knows no function ImportValue",
		resource + "Outputs: {A: {Value: [b]}}":                                                                       "must be a string",
		resource + "Outputs: {A: {Value: b, Condition: c}}":                                                           "knows no Condition of an output",
		resource + "Parameters: {P: {Type: String}}":                                                                  "Parameters: [P] must have values",
		resource + "Parameters: {P: {Type: 'AWS::EC2::VPC::Id'}}":                                                     "Unrecognized parameter type",
		"Resources: {A: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: a, Tier: b}}}":                "knows no property Tier",
		"Resources: {A: {Type: 'AWS::SSM::Parameter', DeletionPolicy: Retain, Properties: {Type: String, Value: a}}}": "knows no DeletionPolicy",
	} {
		if err := c.make("a", template); err == nil || !strings.Contains(err.Error(), "ValidationError") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", template, err, want)
		}
	}
	if err := c.make("a", resource, "P", "x"); err == nil || !strings.Contains(err.Error(), "Parameters: [P] do not exist in the template") {
		t.Errorf("an unknown parameter: %v", err)
	}
	if err := c.make("1a", resource); err == nil {
		t.Error("a name that begins with a digit")
	}
}

func TestStackWithTheAWSCommandLine(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the AWS CLI a few times")
	}
	t.Parallel()
	url := serve(t, newTestCloud(t, Options{}).Cloud)
	file := filepath.Join(t.TempDir(), "stack.yaml")
	if err := os.WriteFile(file, []byte(stackTemplate), 0o644); err != nil {
		t.Fatal(err)
	}
	awsCLI(t, url, "cloudformation", "create-stack", "--stack-name", "net", "--template-body", "file://"+file, "--parameters", "ParameterKey=Name,ParameterValue=web")
	awsCLI(t, url, "cloudformation", "wait", "stack-create-complete", "--stack-name", "net")
	out := awsCLI(t, url, "cloudformation", "describe-stacks", "--stack-name", "net", "--query", "Stacks[0].Outputs[?OutputKey=='Joined']|[0]")
	if out["OutputValue"] != "web-a+b" {
		t.Errorf("outputs %v", out)
	}
}
