package cloud

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// instrument returns the SDK option that puts one middleware below the SDK's
// retries, so that it sees every attempt: it draws from the limiter, counts,
// and keeps the SDK from blindly repeating what may already be done.
func instrument(calls *Calls, limit *limiter) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		attempt := middleware.FinalizeMiddlewareFunc("GoldlineAttempt", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			service := strings.ToLower(awsmiddleware.GetServiceID(ctx))
			action := awsmiddleware.GetOperationName(ctx)
			limit := limit.whose(service)
			if err := limit.take(ctx, service, action); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, err
			}
			calls.add(service + ":" + action)
			out, metadata, err := next.HandleFinalize(ctx, in)
			limit.saw(service, action, err)
			if err != nil && !repeatable(action) && unanswered(err) {
				err = &ambiguous{err}
			}
			return out, metadata, err
		})
		return stack.Finalize.Insert(attempt, "Retry", middleware.After)
	}
}

// repeatable tells whether sending a call twice does what sending it once
// does: it reads, takes a client token (the SDK keeps it from one attempt to the
// next), or is idempotent by nature.
func repeatable(action string) bool {
	switch action {
	case "CreateImage", "RegisterImage", "CreateSnapshot", "CreateVpc", "CreateSubnet", "CreateSecurityGroup",
		"CreateInternetGateway", "CreateVpcPeeringConnection", "CreateDhcpOptions", "AssociateVpcCidrBlock", "AllocateAddress", "CreateKeyPair", "ImportKeyPair", "CreateRoute", "AttachVolume", "AttachNetworkInterface", "AssignPrivateIpAddresses",
		"AttachInternetGateway", "AssociateRouteTable", "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress",
		"CreateRule", "PutParameter", "DeregisterImage", "CreateAutoScalingGroup":
		return false
	}
	return true
}

// ambiguous is a failure after which nobody can say whether the call was
// carried out.
type ambiguous struct{ err error }

func (a *ambiguous) Error() string { return a.err.Error() }
func (a *ambiguous) Unwrap() error { return a.err }

// RetryableError keeps the SDK from sending the call again.
func (a *ambiguous) RetryableError() bool { return false }

// Ambiguous tells whether a call may have been carried out although it failed:
// there was no answer, or one that says nothing.
func Ambiguous(err error) bool {
	var a *ambiguous
	return err != nil && (errors.As(err, &a) || unanswered(err))
}

func unanswered(err error) bool {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return false // it never arrived
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return false
	}
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		return true
	}
	switch answer.ErrorCode() {
	case "InternalError", "InternalFailure", "Unavailable", "ServiceUnavailable", "InternalServerError", "RequestTimeout":
		return true
	}
	return false
}
