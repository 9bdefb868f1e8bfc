package emulator

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// stackService holds CloudFormation's stacks and carries out its actions. Its
// templates make little: SSM parameters, and handles that nothing waits for.
// What they are for is their outputs, which others look up.
type stackService struct {
	cloud  *Cloud
	stacks *table[stackRow] // by the stack's ID
}

const (
	stackName = "cloudformation" // the signing name
	// maxTemplate is how long a template in a call may be, in bytes.
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
	maxTemplate = 51200
	stackChange = "cloudformation-stack" // the transition that ends a change
)

// stackRow is a stack, and what it becomes when the change under way ends.
type stackRow struct {
	Stack     types.Stack
	Template  string
	Given     map[string]string // the parameters' values, which Stack hides where they are secret
	Resources []stackResource   // what it has made
	Due       types.StackStatus
	Outputs   []types.Output // from then on
	Deleted   *time.Time
}

func (r stackRow) id() string { return *r.Stack.StackId }

// newStacks adds the tables and the actions. It is called before the store is
// loaded, after newSSM and newEC2.
func newStacks(c *Cloud) *stackService {
	s := &stackService{cloud: c, stacks: newTable[stackRow](c.store, "cloudformation-stacks")}
	const given = " TemplateBody Parameters.ParameterKey Parameters.ParameterValue Parameters.UsePreviousValue Tags.* Capabilities ClientRequestToken"
	stackOn(s, "CreateStack", "StackName"+given, s.createStack)
	stackOn(s, "UpdateStack", "StackName UsePreviousTemplate"+given, s.updateStack)
	stackOn(s, "DeleteStack", "StackName ClientRequestToken", s.deleteStack)
	stackOn(s, "DescribeStacks", "StackName NextToken", s.describeStacks)
	stackOn(s, "ListStacks", "StackStatusFilter NextToken", s.listStacks)
	stackOn(s, "ListExports", "NextToken", s.listExports)
	stackOn(s, "GetTemplate", "StackName", s.getTemplate)
	c.settlers[stackChange] = s.settle
	inventory(c, "stack", s.stacks, func(r stackRow) (string, bool) {
		return *r.Stack.StackName + " " + string(r.Stack.StackStatus), r.Deleted == nil
	})
	return s
}

// stackOn adds an action, as on does for EC2. Its handler also gets the context,
// for what the stack's resources are made with.
func stackOn[I, O any](s *stackService, action, honours string, f func(context.Context, caller, *I) (*O, error)) {
	handleHonouring(s.cloud.registry, stackName, action, honours, func(ctx context.Context, in *I) (*O, error) { return f(ctx, callerOf(ctx), in) })
}

func stackInvalid(format string, args ...any) error {
	return refuse("ValidationError", format, args...)
}

// find is a stack by its name, as long as it is not deleted, or by its ID.
func (s *stackService) find(w world, given *string) (stackRow, error) {
	name := deref(given)
	if row, ok := s.stacks.get(w, name); ok {
		return row, nil
	}
	for _, row := range s.stacks.all(w) {
		if *row.Stack.StackName == name && row.Deleted == nil {
			return row, nil
		}
	}
	return stackRow{}, stackInvalid("Stack with id %s does not exist", name)
}

func (s *stackService) describeStacks(_ context.Context, c caller, in *cloudformation.DescribeStacksInput) (*cloudformation.DescribeStacksOutput, error) {
	out := &cloudformation.DescribeStacksOutput{}
	if deref(in.StackName) != "" {
		row, err := s.find(c.world(), in.StackName)
		if err == nil {
			out.Stacks = append(out.Stacks, row.Stack)
		}
		return out, err
	}
	for _, row := range s.newestFirst(c.world()) {
		if row.Deleted == nil {
			out.Stacks = append(out.Stacks, row.Stack)
		}
	}
	return out, nil
}

func (s *stackService) newestFirst(w world) []stackRow {
	rows := s.stacks.all(w)
	slices.SortStableFunc(rows, func(a, b stackRow) int {
		return cmp.Or(b.Stack.CreationTime.Compare(*a.Stack.CreationTime), strings.Compare(*a.Stack.StackName, *b.Stack.StackName))
	})
	return rows
}

func (s *stackService) listStacks(_ context.Context, c caller, in *cloudformation.ListStacksInput) (*cloudformation.ListStacksOutput, error) {
	out := &cloudformation.ListStacksOutput{StackSummaries: []types.StackSummary{}}
	for _, row := range s.newestFirst(c.world()) {
		if len(in.StackStatusFilter) > 0 && !slices.Contains(in.StackStatusFilter, row.Stack.StackStatus) {
			continue
		}
		out.StackSummaries = append(out.StackSummaries, types.StackSummary{
			StackId: row.Stack.StackId, StackName: row.Stack.StackName, StackStatus: row.Stack.StackStatus, StackStatusReason: row.Stack.StackStatusReason,
			TemplateDescription: row.Stack.Description, CreationTime: row.Stack.CreationTime, LastUpdatedTime: row.Stack.LastUpdatedTime, DeletionTime: row.Deleted,
		})
	}
	return out, nil
}

func (s *stackService) listExports(_ context.Context, c caller, _ *cloudformation.ListExportsInput) (*cloudformation.ListExportsOutput, error) {
	out := &cloudformation.ListExportsOutput{Exports: []types.Export{}}
	for _, row := range s.stacks.all(c.world()) {
		for _, o := range row.Stack.Outputs {
			if o.ExportName != nil && row.Deleted == nil {
				out.Exports = append(out.Exports, types.Export{ExportingStackId: row.Stack.StackId, Name: o.ExportName, Value: o.OutputValue})
			}
		}
	}
	slices.SortFunc(out.Exports, func(a, b types.Export) int { return strings.Compare(*a.Name, *b.Name) })
	return out, nil
}

func (s *stackService) getTemplate(_ context.Context, c caller, in *cloudformation.GetTemplateInput) (*cloudformation.GetTemplateOutput, error) {
	row, err := s.find(c.world(), in.StackName)
	if err != nil {
		return nil, err
	}
	return &cloudformation.GetTemplateOutput{TemplateBody: &row.Template, StagesAvailable: []types.TemplateStage{types.TemplateStageOriginal}}, nil
}

// exported is the stack that has an export of a name already; "" for none.
func (s *stackService) exported(w world, but, name string) string {
	for _, row := range s.stacks.all(w) {
		if row.id() == but || row.Deleted != nil {
			continue
		}
		for _, o := range append(row.Stack.Outputs, row.Outputs...) {
			if o.ExportName != nil && *o.ExportName == name {
				return *row.Stack.StackName
			}
		}
	}
	return ""
}
