package emulator

import (
	"context"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault Fault
		code  string
		errno error // of the connection, where no answer comes
		done  bool
	}{
		"error":       {Fault{Kind: Error, Code: "TooManyUpdates"}, "TooManyUpdates", nil, false},
		"no code":     {Fault{Kind: Error}, "InternalError", nil, false},
		"unavailable": {Fault{Kind: Unavailable}, "InternalServerError", nil, false},
		"throttle":    {Fault{Kind: Throttle}, "ThrottlingException", nil, false},
		"lost answer": {Fault{Kind: LostAnswer}, "", syscall.ECONNRESET, true},
		"die":         {Fault{Kind: Die}, "", syscall.ECONNREFUSED, false},
		"die after":   {Fault{Kind: DieAfter}, "", syscall.ECONNREFUSED, true},
	} {
		t.Run(name, func(t *testing.T) {
			died := 0
			cloud := newTestCloud(t, Options{OnDie: func() { died++ }})
			c.fault.Service, c.fault.Action, c.fault.Nth = "ssm", "PutParameter", 2
			cloud.Inject(c.fault)
			if err := putNew(t.Context(), cloud.ssm, "first"); err != nil {
				t.Fatal(err)
			}
			if _, err := cloud.sts.GetCallerIdentity(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			err := putNew(t.Context(), cloud.ssm, "second")
			if c.errno == nil {
				wantCode(t, err, c.code)
			} else if !errors.Is(err, c.errno) {
				t.Errorf("error is %v, not %v", err, c.errno)
			}
			if want := c.fault.Kind == Die || c.fault.Kind == DieAfter; want != (died == 1) {
				t.Errorf("OnDie was called %d times", died)
			} else if want {
				if err := putNew(t.Context(), cloud.ssm, "third"); !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("after the end: %v", err)
				}
			}
			cloud.ClearFaults()
			_, err = cloud.ssm.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("second")})
			if (err == nil) != c.done {
				t.Errorf("done is %v: %v", err == nil, err)
			}
		})
	}
}

func TestFaultTimes(t *testing.T) {
	cloud := newTestCloud(t, Options{})
	cloud.Inject(Fault{Nth: 2, Times: 2, Kind: Throttle})
	cloud.Inject(Fault{Nth: 5, Times: -1, Kind: Error, Code: "Forever"})
	for i, want := range []string{"", "Throttling", "Throttling", "", "Forever", "Forever"} {
		_, err := cloud.sts.GetCallerIdentity(t.Context(), nil)
		if got := codeOf(err); got != want {
			t.Errorf("call %d: %q, not %q", i+1, got, want)
		}
	}
}

// Over a port, a lost answer is a connection that ends without one.
func TestLostAnswerOverAPort(t *testing.T) {
	cloud := newTestCloud(t, Options{})
	url := serve(t, cloud.Cloud)
	cfg := configOf(nil, "AKID", "", testRegion)
	cfg.BaseEndpoint, cfg.HTTPClient = &url, nil
	client := sts.NewFromConfig(cfg)
	if _, err := client.GetCallerIdentity(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	cloud.Inject(Fault{Kind: LostAnswer})
	if _, err := client.GetCallerIdentity(t.Context(), nil); !errors.Is(err, io.EOF) {
		t.Errorf("error is %v", err)
	}
}

func TestCalls(t *testing.T) {
	cloud := newTestCloud(t, Options{})
	_ = putNew(t.Context(), cloud.ssm, "name")
	_, _ = cloud.ssm.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("other")})
	calls := cloud.Calls()
	if len(calls) != 2 || calls[0].N != 1 || calls[0].Action != "PutParameter" || calls[0].Code != "" ||
		calls[0].Params.Get("Name") != "name" || calls[0].Region != testRegion || calls[0].Account != defaultAccount ||
		calls[1].Code != "ParameterNotFound" {
		t.Errorf("calls are %+v", calls)
	}
	cloud.ResetCalls()
	if calls := cloud.Calls(); len(calls) != 0 {
		t.Errorf("calls are %+v", calls)
	}
}

func TestLatencyEndsWithItsContext(t *testing.T) {
	cloud := newTestCloud(t, Options{Latency: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := cloud.sts.GetCallerIdentity(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
}

// A handler that panics answers 500, and what it wrote is undone.
func TestPanicUndoes(t *testing.T) {
	cloud := newTestCloud(t, Options{})
	handle(cloud.registry, "sts", "GetCallerIdentity", func(context.Context, *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
		cloud.Cloud.ssm.put(world{defaultAccount, testRegion}, parameter{Name: "half", Versions: make([]parameterVersion, 1)})
		panic("a bug")
	})
	_, err := cloud.sts.GetCallerIdentity(t.Context(), nil)
	wantCode(t, err, "InternalError")
	left, err := cloud.Inventory()
	if err != nil || len(left[defaultAccount+"/"+testRegion+" parameters"]) != 0 {
		t.Errorf("%v %v", left, err)
	}
}
