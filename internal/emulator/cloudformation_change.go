package emulator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
var stackNameForm = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`)

func (s *stackService) createStack(ctx context.Context, c caller, in *cloudformation.CreateStackInput) (*cloudformation.CreateStackOutput, error) {
	if !stackNameForm.MatchString(*in.StackName) {
		return nil, stackInvalid("1 validation error detected: Value '%s' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", *in.StackName)
	}
	if row, err := s.find(c.world(), in.StackName); err == nil {
		return nil, refuse("AlreadyExistsException", "Stack [%s] already exists", *row.Stack.StackName)
	}
	t, err := readTemplate(deref(in.TemplateBody))
	if err != nil {
		return nil, err
	}
	given, err := t.values(in.Parameters, nil)
	if err != nil {
		return nil, err
	}
	row := stackRow{Template: *in.TemplateBody, Given: given, Stack: types.Stack{
		StackName: in.StackName, StackId: new(stackARN(c, *in.StackName)), CreationTime: new(s.cloud.clock.Now()), Capabilities: in.Capabilities, Tags: in.Tags,
		StackStatus: types.StackStatusCreateInProgress, DisableRollback: new(false), EnableTerminationProtection: new(false),
		RollbackConfiguration: &types.RollbackConfiguration{}, DriftInformation: &types.StackDriftInformation{StackDriftStatus: types.StackDriftStatusNotChecked},
	}}
	err = s.change(ctx, c, &row, t, types.StackStatusCreateComplete, types.StackStatusRollbackComplete)
	return &cloudformation.CreateStackOutput{StackId: row.Stack.StackId}, err
}

func (s *stackService) updateStack(ctx context.Context, c caller, in *cloudformation.UpdateStackInput) (*cloudformation.UpdateStackOutput, error) {
	row, err := s.find(c.world(), in.StackName)
	if err != nil {
		return nil, err
	}
	switch row.Stack.StackStatus {
	case types.StackStatusCreateComplete, types.StackStatusUpdateComplete, types.StackStatusUpdateRollbackComplete:
	default:
		return nil, stackInvalid("Stack:%s is in %s state and can not be updated.", row.id(), row.Stack.StackStatus)
	}
	body := deref(in.TemplateBody)
	if deref(in.UsePreviousTemplate) {
		body = row.Template
	}
	t, err := readTemplate(body)
	if err != nil {
		return nil, err
	}
	given, err := t.values(in.Parameters, row.Given)
	if err != nil {
		return nil, err
	}
	if body == row.Template && maps.Equal(given, row.Given) {
		return nil, stackInvalid("No updates are to be performed.")
	}
	row.Template, row.Given = body, given
	row.Stack.LastUpdatedTime, row.Stack.StackStatus = new(s.cloud.clock.Now()), types.StackStatusUpdateInProgress
	if in.Tags != nil {
		row.Stack.Tags = in.Tags
	}
	err = s.change(ctx, c, &row, t, types.StackStatusUpdateComplete, types.StackStatusUpdateRollbackComplete)
	return &cloudformation.UpdateStackOutput{StackId: row.Stack.StackId}, err
}

// change makes of a stack what a template says, or lets it go back where that
// cannot be: what AWS finds out only on the way.
func (s *stackService) change(ctx context.Context, c caller, row *stackRow, t *template, good, back types.StackStatus) error {
	scope := &stackScope{caller: c, template: t, name: *row.Stack.StackName, id: row.id(), given: row.Given}
	wanted, err := scope.resources()
	if err != nil {
		return err
	}
	outputs, err := scope.outputs()
	if err != nil {
		return err
	}
	row.Stack.Description, row.Stack.Parameters, row.Stack.StackStatusReason = t.description(), t.shown(row.Given), nil
	row.Due = good
	if reason := s.obstacle(c.world(), *row, wanted, outputs); reason != "" {
		row.Due, row.Stack.StackStatusReason = back, &reason
	} else {
		if err := s.make(ctx, row.Resources, wanted); err != nil {
			return err
		}
		row.Resources, row.Outputs = wanted, outputs
	}
	s.turn(c.world(), *row)
	return nil
}

// obstacle says what hinders a change; "" for nothing.
func (s *stackService) obstacle(w world, row stackRow, wanted []stackResource, outputs []types.Output) string {
	for _, r := range wanted {
		_, there := s.cloud.ssm.parameters.get(w, r.Name)
		if r.Kind == resourceParameter && there && !slices.ContainsFunc(row.Resources, func(o stackResource) bool { return o.Name == r.Name }) {
			return fmt.Sprintf("The following resource(s) failed to create: [%s]. %s already exists", r.Logical, r.Name)
		}
	}
	for _, o := range outputs {
		if o.ExportName == nil {
			continue
		}
		if other := s.exported(w, row.id(), *o.ExportName); other != "" {
			return fmt.Sprintf("Export with name %s is already exported by stack %s", *o.ExportName, other)
		}
	}
	return ""
}

// make makes resources and removes those that are wanted no more.
func (s *stackService) make(ctx context.Context, have, wanted []stackResource) error {
	for _, r := range wanted {
		if r.Kind != resourceParameter {
			continue
		}
		_, err := s.cloud.ssm.putParameter(ctx, &ssm.PutParameterInput{Name: &r.Name, Value: &r.Value, Type: ssmtypes.ParameterType(r.Type),
			Description: optionalText(r.Description), Overwrite: new(slices.ContainsFunc(have, func(o stackResource) bool { return o.Name == r.Name }))})
		if err != nil {
			return err
		}
	}
	w := callerOf(ctx).world()
	for _, r := range have {
		if r.Kind == resourceParameter && !slices.ContainsFunc(wanted, func(o stackResource) bool { return o.Name == r.Name }) {
			s.cloud.ssm.parameters.remove(w, r.Name)
		}
	}
	return nil
}

func (s *stackService) deleteStack(ctx context.Context, c caller, in *cloudformation.DeleteStackInput) (*cloudformation.DeleteStackOutput, error) {
	row, err := s.find(c.world(), in.StackName)
	if err != nil || row.Deleted != nil || row.Due == types.StackStatusDeleteComplete {
		return &cloudformation.DeleteStackOutput{}, nil // AWS says nothing about it either
	}
	if err := s.make(ctx, row.Resources, nil); err != nil {
		return nil, err
	}
	row.Resources, row.Outputs, row.Due = nil, nil, types.StackStatusDeleteComplete
	row.Stack.StackStatus, row.Stack.StackStatusReason = types.StackStatusDeleteInProgress, nil
	s.turn(c.world(), row)
	return &cloudformation.DeleteStackOutput{}, nil
}

// turn keeps a stack whose status is changing.
func (s *stackService) turn(w world, row stackRow) {
	s.stacks.put(w, row.id(), row)
	s.cloud.schedule(w, s.cloud.options.Transition, stackChange, row.id())
}

func (s *stackService) settle(w world, id string) {
	row, ok := s.stacks.get(w, id)
	if !ok || row.Due == "" {
		return
	}
	row.Stack.StackStatus, row.Due = row.Due, ""
	row.Stack.Outputs = row.Outputs
	if row.Stack.StackStatus == types.StackStatusDeleteComplete {
		row.Deleted = new(s.cloud.clock.Now())
		row.Stack.DeletionTime = row.Deleted
	}
	s.stacks.put(w, id, row)
}

func stackARN(c caller, name string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	h := hex.EncodeToString(b[:])
	return fmt.Sprintf("arn:aws:cloudformation:%s:%s:stack/%s/%s-%s-%s-%s-%s", c.Region, c.Account, name, h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}

func optionalText(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
