package lease

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
)

func open(t *testing.T) (*emulator.Cloud, *cloud.Cloud) {
	t.Helper()
	local, c, _ := openDying(t)
	return local, c
}

// openDying gives the way to set what is called when a fault ends the process,
// too.
func openDying(t *testing.T) (*emulator.Cloud, *cloud.Cloud, func(func())) {
	t.Helper()
	var onDie func()
	local, err := emulator.Open(t.Context(), emulator.Options{Machine: emulator.NoMachines, OnDie: func() { onDie() }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := local.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := connect(local)
	if err != nil {
		t.Fatal(err)
	}
	return local, c, func(f func()) { onDie = f }
}

func connect(local *emulator.Cloud) (*cloud.Cloud, error) {
	provider := cloud.NewProvider(cloud.Config{Transport: local.Transport(), PollMin: 100 * time.Microsecond, PollMax: time.Millisecond})
	return provider.For(context.Background(), cloud.Target{Account: cloud.LocalAccount, Region: "eu-central-1"})
}

// keeper is one whose leases last for a time that no test reaches, unless said.
func keeper(t *testing.T, run string, change func(k *Keeper)) *Keeper {
	k := New(Options{Project: "shop", Run: run, Command: "goldline run " + run, Wait: time.Minute})
	k.lasts = time.Hour
	if change != nil {
		change(k)
	}
	t.Cleanup(func() { k.Close(context.Background()) })
	return k
}

func TestOneAtATime(t *testing.T) {
	_, c := open(t)
	ctx := context.Background()
	a := keeper(t, "a", nil)
	held, moved, err := a.Hold(ctx, c, "dev", time.Now())
	if err != nil || moved || held.Err() != nil {
		t.Fatalf("moved %v: %v", moved, err)
	}
	if _, _, err := a.Hold(ctx, c, "dev", time.Now()); err != nil {
		t.Fatalf("again: %v", err)
	}
	b := keeper(t, "b", func(k *Keeper) { k.options.Wait = 0 })
	if _, _, err := b.Hold(ctx, c, "dev", time.Now()); fail.ExitCode(err) != fail.CodeClean || !strings.Contains(err.Error(), "run a (goldline run a) of arn:aws:") {
		t.Errorf("while a holds it: %v", err)
	}
	if _, _, err := b.Hold(ctx, c, "prod", time.Now()); err != nil {
		t.Errorf("another environment: %v", err)
	}
	if r, err := Show(ctx, c, "shop", "dev"); err != nil || r.Run != "a" || r.Free() {
		t.Errorf("shown: %+v, %v", r, err)
	}
	looked := time.Now()
	a.Close(ctx)
	if r, err := Show(ctx, c, "shop", "dev"); err != nil || !r.Free() {
		t.Errorf("given back: %+v, %v", r, err)
	}
	if _, moved, err := b.Hold(ctx, c, "dev", looked); err != nil || !moved {
		t.Errorf("after a: moved %v: %v", moved, err)
	}
	if _, moved, err := b.Hold(ctx, c, "dev", time.Now()); err != nil || moved {
		t.Errorf("having looked again: moved %v: %v", moved, err)
	}
	var none *Keeper
	if _, _, err := none.Hold(ctx, c, "dev", looked); err != nil {
		t.Error(err)
	}
	none.Close(ctx)
}

// Many runs want one environment at the same time, over and over: there is never
// more than one inside.
func TestNeverTwo(t *testing.T) {
	times, runs := 1000, 8
	if testing.Short() {
		times = 50
	}
	local, _ := open(t)
	var inside, entered atomic.Int64
	err := graph.Each(context.Background(), runs, times, func(ctx context.Context, i int) error {
		c, err := connect(local)
		if err != nil {
			return err
		}
		k := keeper(t, fmt.Sprint(i), func(k *Keeper) { k.options.Wait, k.keepFor = 5*time.Minute, -2*time.Hour })
		if _, _, err := k.Hold(ctx, c, "dev", time.Now()); err != nil {
			return err
		}
		if n := inside.Add(1); n != 1 {
			t.Errorf("%d are inside", n)
		}
		entered.Add(1)
		inside.Add(-1)
		k.Close(ctx)
		return nil
	})
	if err != nil || int(entered.Load()) != times {
		t.Errorf("%d of %d came in: %v", entered.Load(), times, err)
	}
}

// dead is a holder whose process is gone: it says nothing any more.
func dead(t *testing.T, c *cloud.Cloud, run string) {
	t.Helper()
	s := store{c, "shop", "dev", time.Hour}
	all, err := s.generations(t.Context())
	if err == nil {
		_, err = s.create(t.Context(), Record{Generation: newest(all).Generation + 1, Run: run, Host: host(), Since: time.Now()})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestSilentHolder(t *testing.T) {
	_, c := open(t)
	ctx := context.Background()
	for _, test := range []struct {
		name   string
		change func(k *Keeper)
	}{
		{"known to have ended", func(k *Keeper) { k.options.Dead = func(run string) bool { return run == "gone" } }},
		{"nothing heard of it", func(k *Keeper) { k.lasts = 40 * time.Millisecond }},
		{"long past its end", func(k *Keeper) { k.now = func() time.Time { return time.Now().Add(3 * time.Hour) } }},
	} {
		t.Run(test.name, func(t *testing.T) {
			dead(t, c, "gone")
			k := keeper(t, "next", test.change)
			if _, _, err := k.Hold(ctx, c, "dev", time.Now()); err != nil {
				t.Error(err)
			}
			k.Close(ctx)
		})
	}
	dead(t, c, "gone elsewhere")
	k := keeper(t, "next", func(k *Keeper) {
		k.options.Wait = 0
		k.options.Dead = func(run string) bool { return run == "gone" }
	})
	if _, _, err := k.Hold(ctx, c, "dev", time.Now()); err == nil {
		t.Error("a lease that may still be held was taken")
	}
}

// Of two that want a lease for one run, the first is told to stop while it waits:
// the other goes on waiting, and takes it.
func TestWhoWaitsIsNotStoppedWithAnother(t *testing.T) {
	_, c := open(t)
	a := keeper(t, "a", nil)
	if _, _, err := a.Hold(t.Context(), c, "dev", time.Now()); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan struct{}, 2)
	b := keeper(t, "b", func(k *Keeper) {
		k.options.Sink = event.Func(func(e event.Event) {
			if e.Kind == event.Waiting {
				waiting <- struct{}{}
			}
		})
	})
	stopped, stop := context.WithCancel(t.Context())
	err := graph.Each(t.Context(), 3, 3, func(ctx context.Context, i int) error {
		switch i {
		case 0:
			if _, _, err := b.Hold(stopped, c, "dev", time.Now()); !errors.Is(err, context.Canceled) {
				t.Errorf("the first: %v", err)
			}
		case 1:
			<-waiting // the first holds the place
			stop()
			if _, _, err := b.Hold(ctx, c, "dev", time.Now()); err != nil {
				t.Errorf("the other: %v", err)
			}
		case 2:
			<-stopped.Done()
			a.Close(ctx)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A holder whose lease is taken away, or that cannot say that it holds it,
// stops.
func TestLost(t *testing.T) {
	quick := func(k *Keeper) { k.lasts = 200 * time.Millisecond }
	slow := func(k *Keeper) { k.lasts = 4 * time.Second }
	t.Run("released by somebody", func(t *testing.T) {
		_, c := open(t)
		k := keeper(t, "a", slow)
		held, _, err := k.Hold(t.Context(), c, "dev", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		before, err := Release(t.Context(), c, "shop", "dev", "b", "goldline lock release dev")
		if err != nil || before.Run != "a" {
			t.Fatalf("%+v, %v", before, err)
		}
		<-held.Done()
		if err := Lost(held); err == nil || !strings.Contains(err.Error(), "taken away by run b (goldline lock release dev)") {
			t.Errorf("lost: %v", err)
		}
		k.Close(t.Context())
		if r, err := Show(t.Context(), c, "shop", "dev"); err != nil || r.Run != "b" || !r.Free() {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("not kept", func(t *testing.T) {
		local, c := open(t)
		k := keeper(t, "a", quick)
		held, _, err := k.Hold(t.Context(), c, "dev", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		local.Inject(emulator.Fault{Service: "ssm", Action: "GetParametersByPath", Nth: 1, Times: -1, Kind: emulator.Error, Code: "AccessDeniedException"})
		<-held.Done()
		if err := Lost(held); err == nil || !strings.Contains(err.Error(), "could not be kept") {
			t.Errorf("lost: %v", err)
		}
	})
	t.Run("the clock jumps", func(t *testing.T) {
		local, c := open(t)
		var slept atomic.Int64
		k := keeper(t, "a", func(k *Keeper) {
			k.now = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
		})
		held, _, err := k.Hold(t.Context(), c, "dev", time.Now())
		if err == nil {
			held, _, err = keeper(t, "b", nil).Hold(held, c, "prod", time.Now())
		}
		if err != nil {
			t.Fatal(err)
		}
		change := func() error {
			_, err := c.SSM.PutParameter(context.WithoutCancel(held), &ssm.PutParameterInput{Name: aws.String("/x"), Value: aws.String("x"), Type: "String", Overwrite: aws.Bool(true)})
			return err
		}
		if err := change(); err != nil || Lost(held) != nil {
			t.Fatal(err, Lost(held))
		}
		slept.Store(int64(50 * time.Minute))
		local.ResetCalls()
		if err := change(); err == nil || !strings.Contains(err.Error(), "the lease of environment dev could not be kept: nothing was heard of this run for 50m") {
			t.Errorf("changed something: %v", err)
		}
		if n := len(local.Calls()); n > 0 || Lost(held) == nil {
			t.Errorf("%d calls; lost: %v", n, Lost(held))
		}
		<-held.Done()
	})
	t.Run("interrupted is not lost", func(t *testing.T) {
		_, c := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		held, _, err := keeper(t, "a", nil).Hold(ctx, c, "dev", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		<-held.Done()
		if Lost(held) != nil || !errors.Is(held.Err(), context.Canceled) {
			t.Errorf("lost: %v", Lost(held))
		}
	})
}

// Every call of taking and giving back fails, loses its answer, or is the last
// of its process; then another run takes the lease.
func TestFaults(t *testing.T) {
	for _, kind := range []emulator.FaultKind{emulator.Error, emulator.Unavailable, emulator.LostAnswer, emulator.Die, emulator.DieAfter} {
		for nth := 1; nth <= 3; nth++ {
			t.Run(fmt.Sprintf("%s at %d", kind, nth), func(t *testing.T) {
				t.Parallel()
				local, c, onDie := openDying(t)
				code := ""
				if kind == emulator.Error {
					code = "AccessDeniedException"
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				onDie(cancel)
				local.Inject(emulator.Fault{Service: "ssm", Nth: nth, Kind: kind, Code: code})
				k := keeper(t, "a", nil)
				_, _, _ = k.Hold(ctx, c, "dev", time.Now()) // what it says is told apart by the next run
				k.Close(ctx)
				local.ClearFaults()
				c, err := connect(local)
				if err != nil {
					t.Fatal(err)
				}
				k = keeper(t, "b", func(k *Keeper) { k.options.Dead = func(run string) bool { return run == "a" } })
				if _, _, err := k.Hold(t.Context(), c, "dev", time.Now()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// Old generations go, and the newest stays whatever became of it.
func TestPrune(t *testing.T) {
	_, c := open(t)
	for n := range 3 * keep {
		k := keeper(t, fmt.Sprint(n), nil)
		if _, _, err := k.Hold(t.Context(), c, "dev", time.Now()); err != nil {
			t.Fatal(err)
		}
		k.Close(t.Context())
	}
	s := store{c, "shop", "dev", 0}
	all, err := s.generations(t.Context())
	if err != nil || len(all) != 3*keep {
		t.Fatalf("%d, %v", len(all), err)
	}
	s.prune(t.Context(), all, time.Now().Add(time.Second))
	if all, err = s.generations(t.Context()); err != nil || len(all) != 2*keep && len(all) != keep || newest(all).Generation != 3*keep {
		t.Errorf("%d, %v", len(all), err)
	}
	if _, err := c.SSM.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String(s.path() + "/note"), Value: aws.String("x"), Type: "String"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := keeper(t, "z", nil).Hold(t.Context(), c, "dev", time.Now()); err != nil {
		t.Errorf("a parameter that is no generation: %v", err)
	}
}
