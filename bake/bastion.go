package bake

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/goldline-dev/goldline/internal/fail"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// bastion is the host that connections to a builder go through. Its own
// connection is opened by the first of them, and anew after it was lost.
type bastion struct {
	address string
	config  *ssh.ClientConfig
	dial    func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex
	client *ssh.Client
}

// dialer gives how the builder's address is dialled: through the recipe's
// bastion, if it has one.
func (b *bake) dialer() (func(ctx context.Context, address string) (net.Conn, error), error) {
	if b.image.BastionHost == "" {
		return func(ctx context.Context, address string) (net.Conn, error) { return b.cloud.Dial(ctx, "tcp", address) }, nil
	}
	port := b.image.BastionPort
	if port == 0 {
		port = 22
	}
	config := &ssh.ClientConfig{User: b.image.BastionUsername, Timeout: 20 * time.Second}
	if file := b.image.BastionKeyFile; file != "" {
		text, err := os.ReadFile(resolve(b.image, file))
		if err != nil {
			return nil, fail.Inputf("%s: ssh_bastion_private_key_file: %w", b.image.At("ssh_bastion_private_key_file"), err)
		}
		signer, err := ssh.ParsePrivateKey(text)
		if err != nil {
			return nil, fail.Inputf("%s: ssh_bastion_private_key_file %s: not a private key that can be read without a passphrase", b.image.At("ssh_bastion_private_key_file"), file)
		}
		config.Auth = append(config.Auth, ssh.PublicKeys(signer))
	}
	if password := b.image.BastionPassword; password != "" {
		config.Auth = append(config.Auth, ssh.Password(password))
	}
	var err error
	if config.HostKeyCallback, err = b.bastionKey(config); err != nil {
		return nil, err
	}
	b.bastion = &bastion{address: net.JoinHostPort(b.image.BastionHost, strconv.Itoa(port)), config: config, dial: b.cloud.Dial}
	return b.bastion.through, nil
}

// bastionKey accepts the key that the recipe gives, or those of the user's own
// known_hosts, as ssh does.
func (b *bake) bastionKey(config *ssh.ClientConfig) (ssh.HostKeyCallback, error) {
	if line := b.image.BastionPublicKey; line != "" {
		want, err := parsePublicKey(line)
		if err != nil {
			return nil, fail.Inputf("%s: ssh_bastion_host_public_key: %w", b.image.At("ssh_bastion_host_public_key"), err)
		}
		config.HostKeyAlgorithms = algorithmsOf(want)
		return func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if bytes.Equal(key.Marshal(), want.Marshal()) {
				return nil
			}
			return fmt.Errorf("%w %s is not the bastion's", errHostKey, ssh.FingerprintSHA256(key))
		}, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	known, err := knownhosts.New(filepath.Join(home, ".ssh", "known_hosts"))
	if err != nil {
		err = fail.Inputf("%s: the bastion's host key is not known: %w", b.image.At("ssh_bastion_host"), err)
		return nil, fail.WithHint(err, "give ssh_bastion_host_public_key in %s", b.image.File)
	}
	return known, nil
}

func (b *bastion) through(ctx context.Context, address string) (net.Conn, error) {
	client, err := b.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("bastion %s: %w", b.address, err)
	}
	conn, err := client.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("from bastion %s: %w", b.address, err)
	}
	return conn, nil
}

func (b *bastion) connect(ctx context.Context) (*ssh.Client, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.client != nil {
		if _, _, err := b.client.SendRequest("keepalive@goldline", true, nil); err == nil {
			return b.client, nil
		}
		b.client.Close()
		b.client = nil
	}
	conn, err := b.dial(ctx, "tcp", b.address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	c, channels, requests, err := ssh.NewClientConn(conn, b.address, b.config)
	if err != nil {
		conn.Close()
		return nil, err
	}
	b.client = ssh.NewClient(c, channels, requests)
	return b.client, nil
}

func (b *bastion) drop() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.client != nil {
		b.client.Close()
		b.client = nil
	}
}
