package cloud

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// instrument returns the SDK option that puts two middlewares into every call.
// The outer one lets only so many calls of an action begin at a time. The inner
// one is below the SDK's retries, so that it sees every attempt: it draws from
// the limiter, counts, sends what was throttled again, and keeps the SDK from
// blindly repeating what may already be done.
func instrument(calls *Calls, limit *limiter) func(*middleware.Stack) error {
	gates := newGates()
	return func(stack *middleware.Stack) error {
		enter := middleware.InitializeMiddlewareFunc("GoldlineGate", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			leave, err := gates.enter(ctx, awsmiddleware.GetServiceID(ctx)+":"+awsmiddleware.GetOperationName(ctx))
			if err != nil {
				return middleware.InitializeOutput{}, middleware.Metadata{}, err
			}
			defer leave()
			return next.HandleInitialize(middleware.WithStackValue(ctx, aboutKey{}, about(in.Parameters)), in)
		})
		attempt := middleware.FinalizeMiddlewareFunc("GoldlineAttempt", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			service := strings.ToLower(awsmiddleware.GetServiceID(ctx))
			action := awsmiddleware.GetOperationName(ctx)
			out, metadata, err := patiently(ctx, limit.whose(service), calls, service, action, in, next)
			if err != nil && !repeatable(action) && unanswered(err) {
				err = &ambiguous{err}
			}
			return out, metadata, err
		})
		if err := stack.Initialize.Add(enter, middleware.After); err != nil {
			return err
		}
		return stack.Finalize.Insert(attempt, "Retry", middleware.After)
	}
}

// throttledFor bounds how long a call is sent again and again because it is
// throttled. What is queued up for a bucket goes through at the bucket's pace:
// a thousand calls of the slowest refill that a launch makes many of, 5 a second
// and at worst a tenth of that, take half an hour.
const throttledFor = 30 * time.Minute

// patiently sends a call until it is no longer throttled. The SDK's retries are
// for other failures: however many wait for one bucket, none of them may be
// given up after a number of attempts that says nothing about its turn.
func patiently(ctx context.Context, limit *limiter, calls *Calls, service, action string, in middleware.FinalizeInput, next middleware.FinalizeHandler) (out middleware.FinalizeOutput, metadata middleware.Metadata, err error) {
	instances, _ := middleware.GetStackValue(ctx, aboutKey{}).(int)
	request, _ := in.Request.(*smithyhttp.Request)
	end := limit.now().Add(throttledFor)
	for {
		if err := limit.take(ctx, service, action, instances); err != nil {
			return out, metadata, err
		}
		if err := Barred(ctx); err != nil { // asked last: it may have waited for long
			return out, metadata, err
		}
		attempt := in
		if request != nil {
			attempt.Request = request.Clone() // signing writes to it
		}
		calls.add(service + ":" + action)
		out, metadata, err = next.HandleFinalize(ctx, attempt)
		limit.saw(service, action, instances, err)
		if !Throttled(err) || ctx.Err() != nil || request == nil || limit.now().After(end) {
			return out, metadata, err
		}
		if rewindErr := request.RewindStream(); rewindErr != nil {
			return out, metadata, err
		}
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
