package bake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"golang.org/x/crypto/ssh"
)

// connectStep waits until the builder answers SSH with the key that it must
// have.
type connectStep struct{}

func (connectStep) name() string { return "connect" }

// refusedTime is how long a wrong host key or a refused login may go on: on
// some systems sshd listens a moment before cloud-init is done with the keys.
const refusedTime = 20 * time.Second

func (connectStep) run(ctx context.Context, b *bake) error {
	host, err := b.address()
	if err != nil {
		return err
	}
	address := net.JoinHostPort(host, strconv.Itoa(b.port()))
	if windows(b.image) {
		return b.connectWindows(ctx, address)
	}
	limit := b.image.SSHTimeout.Or(5 * time.Minute)
	b.say(event.Waiting, "SSH at %s", address)
	began := time.Now()
	b.remote, err = b.reach(ctx, address, limit)
	b.waitedFor(connectStep{}.name(), "SSH at "+address, began)
	if err != nil {
		return err
	}
	b.say(event.Progress, "connected to %s, host key %s", address, ssh.FingerprintSHA256(b.host.public))
	return cloud.Sleep(ctx, b.image.PauseBeforeConnecting.Or(0))
}

func (connectStep) undo(_ context.Context, b *bake) error {
	if b.remote != nil {
		b.remote.drop()
		b.remote = nil
	}
	b.bastion.drop()
	return nil
}

// reach tries until SSH answers. What it says when it gives up is why the last
// attempt failed, and what the builder printed last.
func (b *bake) reach(ctx context.Context, address string, limit time.Duration) (*remote, error) {
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	config, mismatch := b.clientConfig()
	open, err := b.dialer()
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context) (net.Conn, error) { return open(ctx, address) }
	var last error
	var refusedSince time.Time
	for pause := 50 * time.Millisecond; ; pause = min(pause*3/2, 2*time.Second) {
		r, err := connect(within, address, config, b.image.SSHPty, dial)
		if err == nil {
			return r, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if within.Err() == nil || last == nil {
			last = err
		}
		if !refused(err) {
			refusedSince = time.Time{}
		} else if refusedSince.IsZero() {
			refusedSince = time.Now()
		}
		gaveUp := !refusedSince.IsZero() && time.Since(refusedSince) > min(refusedTime, limit)
		if gaveUp || cloud.Sleep(within, pause) != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if e := mismatch(); e != nil && refused(last) {
				last = e
			}
			return nil, b.unreachable(ctx, address, limit, last)
		}
	}
}

// errHostKey says that whoever answers does not have the expected key.
var errHostKey = errors.New("host key")

func refused(err error) bool {
	var exchange *ssh.ServerAuthError
	text := err.Error()
	return errors.Is(err, errHostKey) || errors.As(err, &exchange) ||
		// The SSH package gives these no type of their own.
		strings.Contains(text, "unable to authenticate") || strings.Contains(text, "host key")
}

// clientConfig accepts the one host key. The SSH package passes on the text of
// what the callback says but not the error, so that is kept here.
func (b *bake) clientConfig() (config *ssh.ClientConfig, mismatch func() error) {
	seen := make(chan error, 1)
	want := b.host.public
	return &ssh.ClientConfig{
			User:              b.image.SSHUsername,
			Auth:              []ssh.AuthMethod{ssh.PublicKeys(b.login)},
			HostKeyAlgorithms: algorithmsOf(want),
			HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
				if bytes.Equal(key.Marshal(), want.Marshal()) {
					return nil
				}
				err := fmt.Errorf("%w %s is not the one that the builder must have (%s)", errHostKey, ssh.FingerprintSHA256(key), ssh.FingerprintSHA256(want))
				select {
				case seen <- err:
				default:
				}
				return err
			},
		}, func() error {
			select {
			case err := <-seen:
				return err
			default:
				return nil
			}
		}
}

func (b *bake) unreachable(ctx context.Context, address string, limit time.Duration, last error) error {
	err := fmt.Errorf("SSH at %s does not answer as it must within %s: %w", address, limit, last)
	if text := b.console(ctx); text != "" {
		err = fmt.Errorf("%w\n  the instance's console ends:\n    | %s", err, text)
	}
	hint := "look at ssh_username (%q), the subnet's route and the security group's rules"
	if errors.Is(last, errHostKey) {
		hint = "cloud-init on the source image must honour ssh_keys in user data; otherwise give ssh_host_public_key (user %q)"
	}
	return fail.WithHint(err, hint, b.image.SSHUsername)
}

// console is the end of what the instance printed, as far as EC2 has it.
func (b *bake) console(ctx context.Context) string {
	if b.builder.id == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	printed := b.printed(ctx)
	if n := len(printed); n > tailLines {
		printed = printed[n-tailLines:]
	}
	return b.hide.text(strings.Join(printed, "\n    | "))
}

func (b *bake) port() int {
	if windows(b.image) {
		return b.winrmPort()
	}
	if b.image.SSHPort == 0 {
		return 22
	}
	return b.image.SSHPort
}

// address is where the builder is reached.
func (b *bake) address() (string, error) {
	if b.image.SSHHost != "" {
		return b.render("ssh_host", b.image.SSHHost, b.sourceData())
	}
	if b.image.WinRMHost != "" && windows(b.image) {
		return b.render("winrm_host", b.image.WinRMHost, b.sourceData())
	}
	i := b.instance
	byName := map[string]*string{
		"public_ip": i.PublicIpAddress, "private_ip": i.PrivateIpAddress,
		"public_dns": i.PublicDnsName, "private_dns": i.PrivateDnsName,
	}
	wanted := []string{b.image.SSHInterface}
	if b.image.SSHInterface == "" {
		wanted = []string{"public_ip", "private_ip"}
	}
	for _, name := range wanted {
		if a := aws.ToString(byName[name]); a != "" {
			return a, nil
		}
	}
	err := fmt.Errorf("builder %s has no %s", b.builder.id, strings.Join(wanted, " or "))
	return "", fail.WithHint(err, "give associate_public_ip_address: true, or another ssh_interface, in %s", b.image.File)
}
