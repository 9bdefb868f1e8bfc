package emulator

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

func (s *iamService) addBoundaries() {
	onIAM(s, "PutUserPermissionsBoundary", "UserName PermissionsBoundary", func(c apiCall, in *iam.PutUserPermissionsBoundaryInput) (*iam.PutUserPermissionsBoundaryOutput, error) {
		return &iam.PutUserPermissionsBoundaryOutput{}, s.bind(c, "user", in.UserName, in.PermissionsBoundary)
	})
	onIAM(s, "DeleteUserPermissionsBoundary", "UserName", func(c apiCall, in *iam.DeleteUserPermissionsBoundaryInput) (*iam.DeleteUserPermissionsBoundaryOutput, error) {
		return &iam.DeleteUserPermissionsBoundaryOutput{}, s.unbind(c, "user", in.UserName)
	})
	onIAM(s, "PutRolePermissionsBoundary", "RoleName PermissionsBoundary", func(c apiCall, in *iam.PutRolePermissionsBoundaryInput) (*iam.PutRolePermissionsBoundaryOutput, error) {
		return &iam.PutRolePermissionsBoundaryOutput{}, s.bind(c, "role", in.RoleName, in.PermissionsBoundary)
	})
	onIAM(s, "DeleteRolePermissionsBoundary", "RoleName", func(c apiCall, in *iam.DeleteRolePermissionsBoundaryInput) (*iam.DeleteRolePermissionsBoundaryOutput, error) {
		return &iam.DeleteRolePermissionsBoundaryOutput{}, s.unbind(c, "role", in.RoleName)
	})
}

// boundary is a checked permissions boundary: a managed policy that exists.
func (s *iamService) boundary(c apiCall, arn *string) (string, error) {
	if arn == nil {
		return "", nil
	}
	if _, ours := s.policies.get(c.w, *arn); !ours && !awsPolicy.MatchString(*arn) {
		return "", noSuchEntity("Scope ARN: %s does not exist or is not attachable.", *arn)
	}
	return *arn, nil
}

func (s *iamService) bind(c apiCall, kind string, name, arn *string) error {
	e, err := s.entity(c, kind, name)
	if err != nil {
		return err
	}
	if e.Boundary, err = s.boundary(c, arn); err != nil {
		return err
	}
	s.put(c, e)
	return nil
}

func (s *iamService) unbind(c apiCall, kind string, name *string) error {
	e, err := s.entity(c, kind, name)
	if err != nil {
		return err
	}
	if e.Boundary == "" {
		return noSuchEntity("The %s %s has no permissions boundary.", kind, e.Name)
	}
	e.Boundary = ""
	s.put(c, e)
	return nil
}

// boundTo are the entities that have a policy as their boundary.
func (s *iamService) boundTo(c apiCall, arn string) []entityRow {
	return slices.DeleteFunc(s.entities.all(c.w), func(e entityRow) bool { return e.Boundary != arn })
}

func shownBoundary(e entityRow) *types.AttachedPermissionsBoundary {
	if e.Boundary == "" {
		return nil
	}
	return &types.AttachedPermissionsBoundary{PermissionsBoundaryArn: &e.Boundary, PermissionsBoundaryType: types.PermissionsBoundaryAttachmentTypePolicy}
}
