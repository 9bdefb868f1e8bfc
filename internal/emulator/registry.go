package emulator

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"time"
)

// apiError is an error of AWS's shape: a code that programs read, a message
// that people read, and the HTTP status that goes with them.
type apiError struct {
	Status  int
	Code    string
	Message string
}

func (e *apiError) Error() string { return e.Code + ": " + e.Message }

// refuse is an error in what the caller asked for: status 400.
func refuse(code, format string, args ...any) error {
	return &apiError{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, args...)}
}

// caller is who made a request, and where. Handlers get it from their context.
type caller struct {
	Account string
	Region  string
	ARN     string // arn:aws:iam::000000000000:root or the assumed role's
	UserID  string
	// DryRun is set by the engine from EC2's parameter of that name.
	DryRun bool
}

// world is the world that the caller's request is about.
func (c caller) world() world { return world{Account: c.Account, Region: c.Region} }

// apiCall is one call as a handler sees it.
type apiCall struct {
	caller
	w   world // what it is about: the caller's account, in the call's region if the service has regions
	now time.Time
}

type callerKey struct{}

func withCaller(ctx context.Context, c caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// operation is one action of a service with its types, as the engine needs it.
type operation struct {
	service string // the signing name: ec2, ssm, sts
	action  string
	input   reflect.Type // the SDK's input struct
	output  reflect.Type
	honours honoured // nil where the handler checks its parameters itself
	call    func(ctx context.Context, input any) (any, error)
}

// registry holds every operation that the local cloud knows, by service and
// action.
type registry map[string]map[string]operation

// handle adds an operation. f runs as one transaction on the store: what it
// wrote is undone if it returns an error.
func handle[I, O any](r registry, service, action string, f func(context.Context, *I) (*O, error)) {
	if r[service] == nil {
		r[service] = map[string]operation{}
	}
	r[service][action] = operation{
		service: service,
		action:  action,
		input:   reflect.TypeFor[I](),
		output:  reflect.TypeFor[O](),
		call: func(ctx context.Context, input any) (any, error) {
			return f(ctx, input.(*I))
		},
	}
}

// handleHonouring adds an operation. honours lists the parameters that the
// handler knows how to carry out (see honoured); others are refused before it
// runs.
func handleHonouring[I, O any](r registry, service, action, honours string, f func(context.Context, *I) (*O, error)) {
	known := parseHonoured(honours)
	handle(r, service, action, func(ctx context.Context, in *I) (*O, error) {
		if err := known.check(in); err != nil {
			return nil, err
		}
		return f(ctx, in)
	})
	op := r[service][action]
	op.honours = known
	r[service][action] = op
}

// handleCall adds an action. view is the call as the service's handlers see
// it; see handleHonouring for what honours means.
func handleCall[I, O any](r registry, service, action, honours string, view func(caller) apiCall, f func(apiCall, *I) (*O, error)) {
	handleHonouring(r, service, action, honours, func(ctx context.Context, in *I) (*O, error) { return f(view(callerOf(ctx)), in) })
}
