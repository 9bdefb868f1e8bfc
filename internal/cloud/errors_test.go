package cloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/aws/smithy-go"
)

func TestMeanings(t *testing.T) {
	meanings := map[string]func(error) bool{
		"not found": NotFound, "exists": AlreadyExists, "in use": InUse, "throttled": Throttled, "no capacity": NoCapacity, "denied": Denied, "ambiguous": Ambiguous,
	}
	for code, want := range map[string]string{
		"InvalidInstanceID.NotFound":   "not found",
		"InvalidVpcID.NotFound":        "not found",
		"InvalidAMIID.Unavailable":     "not found",
		"ParameterNotFound":            "not found",
		"InvalidGroup.Duplicate":       "exists",
		"RouteAlreadyExists":           "exists",
		"Resource.AlreadyAssociated":   "exists",
		"ParameterAlreadyExists":       "exists",
		"DependencyViolation":          "in use",
		"VolumeInUse":                  "in use",
		"RequestLimitExceeded":         "throttled",
		"ThrottlingException":          "throttled",
		"InsufficientInstanceCapacity": "no capacity",
		"AddressLimitExceeded":         "no capacity",
		"VpcLimitExceeded":             "no capacity",
		"UnauthorizedOperation":        "denied",
		"AccessDeniedException":        "denied",
		"InternalError":                "ambiguous",
		"Unavailable":                  "ambiguous",
		"InvalidParameterValue":        "",
	} {
		err := fmt.Errorf("create: %w", &smithy.GenericAPIError{Code: code})
		for name, is := range meanings {
			if is(err) != (name == want) {
				t.Errorf("%s: %s is %v", code, name, is(err))
			}
		}
	}
}

func TestAmbiguous(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{io.ErrUnexpectedEOF, true},
		{context.DeadlineExceeded, true},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, false},
		{&net.DNSError{Err: "no such host"}, false},
		{&smithy.GenericAPIError{Code: "InvalidVpc.Range"}, false},
	} {
		if got := Ambiguous(test.err); got != test.want {
			t.Errorf("%v: %v, want %v", test.err, got, test.want)
		}
	}
}

func TestOnce(t *testing.T) {
	lost := io.ErrUnexpectedEOF
	refused := &smithy.GenericAPIError{Code: "VpcLimitExceeded"}
	for _, test := range []struct {
		name    string
		answers []error // of each make
		finds   int     // which look finds it; 0 never
		made    int
		err     error
	}{
		{name: "answered", answers: []error{nil}, made: 1},
		{name: "refused is not looked for", answers: []error{refused}, made: 1, err: refused},
		{name: "lost but done", answers: []error{lost}, finds: 1, made: 1},
		{name: "lost, done and hidden for a while", answers: []error{lost}, finds: 2, made: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			made, looks := 0, 0
			thing, err := Once(context.Background(), &Cloud{},
				func(context.Context) (string, bool, error) {
					looks++
					return "vpc-1", looks == test.finds, nil
				},
				func(context.Context) (string, error) {
					made++
					return "vpc-1", test.answers[made-1]
				})
			if !errors.Is(err, test.err) || made != test.made {
				t.Errorf("made %d times, error %v", made, err)
			}
			if test.err == nil && thing != "vpc-1" {
				t.Errorf("thing %q", thing)
			}
		})
	}
}
