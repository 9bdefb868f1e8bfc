package main

import (
	"context"
	"fmt"
	"net"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/spf13/cobra"
)

func newLocal(p *program) *cobra.Command {
	return newGroup("local", "The local cloud: an emulated AWS on this machine", "  goldline local serve", newLocalServe(p))
}

// servedReport is what was served until the interrupt.
type servedReport struct {
	Endpoint string `json:"endpoint"`
	Machine  string `json:"machine"`
}

func (servedReport) text(t *text) { t.linef("stopped") }

func newLocalServe(p *program) *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Open the project's local cloud to any AWS client, until interrupted",
		Long: `Serves the local cloud, the one that --local uses, to any AWS client on loopback,
and keeps its instances running. Other goldline commands may use the same cloud at
the same time.`,
		Example: `  goldline local serve &
  aws --endpoint-url http://127.0.0.1:4566 ec2 describe-instances`,
		Args: takes(),
		RunE: p.does(func(ctx context.Context, _ []string) (report, error) { return runLocalServe(ctx, p, listen) }),
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:4566", "loopback address and port; port 0 takes a free one")
	return c
}

func runLocalServe(ctx context.Context, p *program, listen string) (report, error) {
	p.flags.local = true
	loaded, err := p.read()
	if loaded == nil {
		return nil, err
	}
	if err := loopback(listen); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fail.WithHint(fail.Inputf("local serve: %w", err), "--listen 127.0.0.1:0 takes a free port")
	}
	if err := p.join(ctx); err != nil {
		return nil, fail.Join(err, listener.Close())
	}
	if err := p.wake(ctx); err != nil {
		return nil, fail.Join(err, listener.Close())
	}
	r := servedReport{Endpoint: "http://" + listener.Addr().String(), Machine: string(p.local.Machine())}
	p.onInterrupt = "stopping the local cloud"
	region := "eu-central-1"
	if envs := loaded.Environments(); len(envs) > 0 {
		region = envs[0].Region
	}
	out := p.stdout
	if p.flags.output == outputJSON {
		out = p.stderr
	}
	fmt.Fprintf(out, `the local cloud of %s answers on %s

  export AWS_ENDPOINT_URL=%s AWS_REGION=%s AWS_DEFAULT_REGION=%s
  export AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=local
  aws ec2 describe-instances

Interrupt to stop.
`, loaded.Name, r.Endpoint, r.Endpoint, region, region, cloud.LocalAccount)
	return r, p.local.Serve(ctx, listener)
}

// loopback refuses an address that others could reach: whoever reaches the local
// cloud may run commands on its instances.
func loopback(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fail.WithHint(fail.Inputf("--listen %s: %w", listen, err), "give host and port: 127.0.0.1:4566")
	}
	ip := net.ParseIP(host)
	if host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fail.WithHint(fail.Inputf("--listen %s: the local cloud is for this machine alone", listen), "give a loopback address: 127.0.0.1:4566")
}
