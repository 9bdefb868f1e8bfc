package cloud

import (
	"errors"
	"strings"

	"github.com/aws/smithy-go"
)

// Code is the code of AWS's answer, or "" when there was none.
func Code(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorCode()
	}
	return ""
}

// Operation is the name of the call that failed, "" for what is no failure of a
// call.
func Operation(err error) string {
	var call *smithy.OperationError
	if errors.As(err, &call) {
		return call.Operation()
	}
	return ""
}

// NotFound tells whether AWS said that a thing does not exist. For something
// made moments ago that means: not yet.
func NotFound(err error) bool {
	code := Code(err)
	switch code {
	case "LoadBalancerNotFound", "TargetGroupNotFound", "ListenerNotFound", "RuleNotFound", "SubnetNotFound":
		return true // of Elastic Load Balancing
	}
	return strings.HasSuffix(code, ".NotFound") || strings.HasSuffix(code, "NotFoundException") ||
		code == "ParameterNotFound" || code == "ParameterVersionNotFound" || code == "InvalidAMIID.Unavailable" ||
		code == "NoSuchEntity" || code == "NoSuchHostedZone" || code == "NoSuchChange" || code == "InvalidSnapshotID.NotFound" || code == "InvalidGroupId.NotFound" || code == "NatGatewayNotFound"
}

// AlreadyExists tells whether AWS said that what was to be made, or tied, is
// there already.
func AlreadyExists(err error) bool {
	code := Code(err)
	switch code {
	case "DuplicateLoadBalancerName", "DuplicateTargetGroupName", "DuplicateListener", "PriorityInUse":
		return true // of Elastic Load Balancing
	}
	return strings.HasSuffix(code, ".Duplicate") || strings.HasSuffix(code, "AlreadyExists") ||
		code == "Resource.AlreadyAssociated" || code == "ParameterAlreadyExists" || code == "InvalidAMIName.Duplicate"
}

// InUse tells whether AWS refused because something else still depends on the
// thing, or because it is changing.
func InUse(err error) bool {
	switch Code(err) {
	case "DependencyViolation", "InvalidGroup.InUse", "VolumeInUse", "InvalidSnapshot.InUse", "IncorrectState", "IncorrectInstanceState", "ResourceInUse", "InvalidIPAddress.InUse", "InvalidNetworkInterface.InUse",
		"ScalingActivityInProgress", "ResourceContention":
		return true
	}
	return false
}

// Throttled tells whether AWS said to slow down.
func Throttled(err error) bool {
	switch Code(err) {
	case "RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException", "TooManyRequestsException", "PriorRequestNotComplete", "EC2ThrottledException", "SlowDown":
		return true
	}
	return false
}

// NoCapacity tells whether AWS has none of what was asked for just now, or the
// account may not have more of it.
func NoCapacity(err error) bool {
	code := Code(err)
	switch code {
	case "InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientReservedInstanceCapacity", "InsufficientCapacity", "InsufficientFreeAddressesInSubnet",
		"Unsupported", "MaxSpotInstanceCountExceeded", "SpotMaxPriceTooLow":
		return true
	}
	return strings.HasSuffix(code, "LimitExceeded") && !Throttled(err)
}

// Denied tells whether the caller may not do what was asked.
func Denied(err error) bool {
	switch Code(err) {
	case "UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthFailure", "OptInRequired", "OperationNotPermitted", "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "RequestExpired":
		return true
	}
	return false
}
