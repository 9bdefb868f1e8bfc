package emulator

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (s *ec2Service) addProfiles() {
	on(s, "AssociateIamInstanceProfile", "InstanceId IamInstanceProfile.*", s.associateProfile)
	on(s, "ReplaceIamInstanceProfileAssociation", "AssociationId IamInstanceProfile.*", s.replaceProfile)
	on(s, "DisassociateIamInstanceProfile", "AssociationId", s.disassociateProfile)
	on(s, "DescribeIamInstanceProfileAssociations", "AssociationIds Filters.* MaxResults NextToken", s.describeProfiles)
}

// profileFor is the instance profile that a call names, if EC2 knows it and it
// holds a role.
func (s *ec2Service) profileFor(c apiCall, asked types.IamInstanceProfileSpecification) (*types.IamInstanceProfile, error) {
	arn, name := deref(asked.Arn), deref(asked.Name)
	switch {
	case arn == "" && name == "":
		return nil, refuse("MissingParameter", "The request must contain the name or the ARN of an instance profile")
	case arn != "" && name != "":
		return nil, refuse("InvalidParameterCombination", "Exactly one of the name and the ARN of an instance profile has to be specified")
	case arn != "" && (!strings.HasPrefix(arn, "arn:aws:iam::") || !strings.Contains(arn, ":instance-profile/")):
		return nil, refuse("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN", arn)
	}
	p, known := s.cloud.iam.forEC2(c.Account, arn, name)
	if !known {
		if arn != "" {
			return nil, refuse("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN", arn)
		}
		return nil, refuse("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", name)
	}
	if p.Role == "" {
		return nil, refuse("InvalidParameterValue", "IAM Instance Profile \"%s\" has no associated IAM Roles", p.ARN)
	}
	return &types.IamInstanceProfile{Arn: new(p.ARN), Id: new(p.ID)}, nil
}

// associationOf is the ID of the association of an instance with its profile:
// an instance has one at most, and keeps it when the profile is replaced.
func associationOf(row instanceRow) string {
	return profileID.stable(row.ID, row.ProfileSince.String())
}

func (s *ec2Service) shownAssociation(row instanceRow) types.IamInstanceProfileAssociation {
	state := types.IamInstanceProfileAssociationStateAssociated
	if s.cloud.clock.Now().Before(row.ProfileSince.Add(s.cloud.options.Transition)) {
		state = types.IamInstanceProfileAssociationStateAssociating
	}
	return types.IamInstanceProfileAssociation{AssociationId: new(associationOf(row)), InstanceId: new(row.ID), IamInstanceProfile: row.Profile, State: state}
}

// profiled are the instances with a profile.
func (s *ec2Service) profiled(c apiCall) []instanceRow {
	return keep(s.instances.all(c.w), func(r instanceRow) bool { return r.Profile != nil && r.holdsNetwork() })
}

func (s *ec2Service) associated(c apiCall, id *string) (instanceRow, error) {
	if err := profileID.check(deref(id)); err != nil {
		return instanceRow{}, err
	}
	for _, row := range s.profiled(c) {
		if associationOf(row) == *id {
			return row, nil
		}
	}
	return instanceRow{}, profileID.missing(*id)
}

func (s *ec2Service) associateProfile(c apiCall, in *ec2.AssociateIamInstanceProfileInput) (*ec2.AssociateIamInstanceProfileOutput, error) {
	row, err := s.liveInstance(c, in.InstanceId)
	if err != nil {
		return nil, err
	}
	if row.State != stateRunning && row.State != stateStopped {
		return nil, refuse("IncorrectInstanceState", "The instance '%s' is not in the 'running' or 'stopped' state.", row.ID)
	}
	if row.Profile != nil {
		return nil, refuse("IncorrectState", "There is an existing association for instance %s", row.ID)
	}
	if row.Profile, err = s.profileFor(c, deref(in.IamInstanceProfile)); err != nil {
		return nil, err
	}
	row.ProfileSince = c.now
	s.instances.put(c.w, row.ID, row)
	return &ec2.AssociateIamInstanceProfileOutput{IamInstanceProfileAssociation: new(s.shownAssociation(row))}, nil
}

func (s *ec2Service) replaceProfile(c apiCall, in *ec2.ReplaceIamInstanceProfileAssociationInput) (*ec2.ReplaceIamInstanceProfileAssociationOutput, error) {
	row, err := s.associated(c, in.AssociationId)
	if err != nil {
		return nil, err
	}
	if row.Profile, err = s.profileFor(c, deref(in.IamInstanceProfile)); err != nil {
		return nil, err
	}
	s.instances.put(c.w, row.ID, row)
	return &ec2.ReplaceIamInstanceProfileAssociationOutput{IamInstanceProfileAssociation: new(s.shownAssociation(row))}, nil
}

func (s *ec2Service) disassociateProfile(c apiCall, in *ec2.DisassociateIamInstanceProfileInput) (*ec2.DisassociateIamInstanceProfileOutput, error) {
	row, err := s.associated(c, in.AssociationId)
	if err != nil {
		return nil, err
	}
	shown := s.shownAssociation(row)
	shown.State = types.IamInstanceProfileAssociationStateDisassociating
	row.Profile = nil
	s.instances.put(c.w, row.ID, row)
	return &ec2.DisassociateIamInstanceProfileOutput{IamInstanceProfileAssociation: &shown}, nil
}

func (s *ec2Service) describeProfiles(c apiCall, in *ec2.DescribeIamInstanceProfileAssociationsInput) (*ec2.DescribeIamInstanceProfileAssociationsOutput, error) {
	if err := noPagesOfIDs(in.AssociationIds, "associationIds", in.MaxResults); err != nil {
		return nil, err
	}
	rows := s.profiled(c)
	if len(in.AssociationIds) > 0 {
		rows = nil
		for _, id := range in.AssociationIds {
			row, err := s.associated(c, &id)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
	}
	rows, err := choose(s, c.w, rows, instanceRow.id, filters[instanceRow]{
		"instance-id": func(r instanceRow) []string { return one(r.ID) },
		"state":       func(r instanceRow) []string { return one(fmt.Sprint(s.shownAssociation(r).State)) },
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, instanceRow.id, paging{in.MaxResults, in.NextToken, 5, 1000})
	out := &ec2.DescribeIamInstanceProfileAssociationsOutput{NextToken: next}
	for _, row := range rows {
		out.IamInstanceProfileAssociations = append(out.IamInstanceProfileAssociations, s.shownAssociation(row))
	}
	return out, err
}
