package lease

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/graph"
)

// rounds is how often each of two processes wants the environment; bench/README.md
// has the figure for a thousand.
var rounds = flag.Int("rounds", 50, "how often each process takes the lease")

// endpoint and door are what a process of TestNeverTwoProcesses is told.
const endpoint, door = "GOLDLINE_TEST_ENDPOINT", "GOLDLINE_TEST_DOOR"

// Two processes, which share nothing but the cloud, want one environment at the
// same time, over and over. Who is inside holds a file that only one can make.
func TestNeverTwoProcesses(t *testing.T) {
	local, _ := open(t)
	server := httptest.NewServer(local.Handler())
	defer server.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inside, began := filepath.Join(t.TempDir(), "inside"), time.Now()
	err = graph.Each(t.Context(), 0, 2, func(ctx context.Context, i int) error {
		cmd := exec.CommandContext(ctx, self, "-test.run=^TestAProcessOfTwo$", fmt.Sprintf("-rounds=%d", *rounds))
		cmd.Env = append(os.Environ(), endpoint+"="+server.URL, door+"="+inside)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("process %d: %w\n%s", i, err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("two processes, each %d times inside, never both, in %s", *rounds, time.Since(began).Round(time.Millisecond))
}

// TestAProcessOfTwo is one of those processes.
func TestAProcessOfTwo(t *testing.T) {
	url, inside := os.Getenv(endpoint), os.Getenv(door)
	if url == "" {
		t.Skip("it is run by TestNeverTwoProcesses")
	}
	provider := cloud.NewProvider(cloud.Config{Transport: toServer(url), PollMin: 100 * time.Microsecond, PollMax: time.Millisecond})
	c, err := provider.For(t.Context(), cloud.Target{Account: cloud.LocalAccount, Region: "eu-central-1"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range *rounds {
		k := keeper(t, fmt.Sprintf("%d-%d", os.Getpid(), i), func(k *Keeper) { k.options.Wait, k.keepFor = 5*time.Minute, -2*time.Hour })
		if _, _, err := k.Hold(t.Context(), c, "dev", time.Now()); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(inside, os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			t.Fatal("both are inside")
		}
		if err == nil {
			err = errors.Join(f.Close(), os.Remove(inside))
		}
		if err != nil {
			t.Fatal(err)
		}
		k.Close(t.Context())
	}
}

// toServer sends every request to the local cloud's process.
type toServer string

func (s toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	there, err := http.NewRequest(r.Method, string(s), r.Body)
	if err != nil {
		return nil, err
	}
	there = there.WithContext(r.Context())
	there.Header, there.ContentLength = r.Header, r.ContentLength
	there.URL.Path, there.URL.RawQuery = r.URL.Path, r.URL.RawQuery
	return http.DefaultTransport.RoundTrip(there)
}
