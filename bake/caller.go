package bake

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
)

// checkIP is AWS's own service that answers with the address of whoever asks.
const checkIP = "https://checkip.amazonaws.com"

// sourceCIDRs are who may reach the builder's SSH port: those that the recipe
// gives, or the caller alone.
func (b *bake) sourceCIDRs(ctx context.Context) ([]string, error) {
	if given := b.image.SourceCIDRs; len(given) > 0 {
		return given, nil
	}
	if b.image.BastionHost != "" {
		// The builder sees the bastion, from within the network.
		return []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}, nil
	}
	address, err := b.callerAddress(ctx)
	if err != nil {
		err = fmt.Errorf("find out from where the builder will be reached: %w", err)
		return nil, fail.WithHint(err, "give temporary_security_group_source_cidrs in %s", b.image.File)
	}
	address = address.Unmap()
	return []string{netip.PrefixFrom(address, address.BitLen()).String()}, nil
}

// callerAddress is the address that the caller's connections come from. The
// local cloud, whose account no real one can have, is reached over loopback; a
// given ssh_host or a private address is reached from the address that the
// system's routes choose. Only for a public address it takes somebody outside to
// say it, and that is AWS.
func (b *bake) callerAddress(ctx context.Context) (netip.Addr, error) {
	switch {
	case b.options.CallerAddress != nil:
		return b.options.CallerAddress(ctx)
	case b.cloud.Account == cloud.LocalAccount:
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	case b.image.SSHHost != "":
		return routedFrom(net.JoinHostPort(b.image.SSHHost, strconv.Itoa(b.port())))
	case strings.HasPrefix(b.image.SSHInterface, "private"):
		return routedFrom("10.255.255.255:22")
	}
	return b.caller.get(ctx, askCheckIP)
}

// routedFrom is the local address of a connection to there. Connecting a UDP
// socket sends nothing.
func routedFrom(there string) (netip.Addr, error) {
	conn, err := net.Dial("udp", there)
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	return netip.MustParseAddrPort(conn.LocalAddr().String()).Addr(), nil
}

func askCheckIP(ctx context.Context) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, checkIP, nil)
	if err != nil {
		return netip.Addr{}, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return netip.Addr{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 100))
	if err != nil {
		return netip.Addr{}, err
	}
	address, err := netip.ParseAddr(strings.TrimSpace(string(text)))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%s answered no address (status %d)", checkIP, answer.StatusCode)
	}
	return address, nil
}
