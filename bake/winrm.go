package bake

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	sdkwinrm "github.com/hashicorp/packer-plugin-sdk/sdk-internals/communicator/winrm"
	"github.com/masterzen/winrm"
	"golang.org/x/crypto/ssh"
)

// windows tells whether a builder is reached by WinRM.
func windows(i *project.Image) bool { return i.Communicator == "winrm" }

// administrator is whose password EC2 makes.
const administrator = "Administrator"

// user is who logs in.
func (b *bake) user() string {
	if windows(b.image) {
		return orText(b.image.WinRMUsername, administrator)
	}
	return b.image.SSHUsername
}

// winrmPort is WinRM's own port, with or without TLS.
func (b *bake) winrmPort() int {
	switch {
	case b.image.WinRMPort != 0:
		return b.image.WinRMPort
	case b.image.WinRMUseSSL:
		return 5986
	}
	return 5985
}

// keyType is the type of the temporary key: EC2 encrypts a Windows password for
// RSA keys alone.
func keyType(i *project.Image) string {
	if windows(i) {
		return "rsa"
	}
	return i.TemporaryKeyPairType
}

// unfit are the provisioners that need SSH, or a shell of Unix, with what there is
// in their place.
var unfit = map[string]string{
	"shell": "powershell and windows-shell run there",
	// It would give a playbook the builder by a proxy that speaks SSH, and has no
	// inventory for Ansible's own connection by WinRM.
	"ansible":       "powershell runs there; shell-local can call ansible-playbook with ansible_connection=winrm, {{build `Host`}}, {{build `User`}} and {{build `Password`}}",
	"ansible-local": "powershell and windows-shell run there; Ansible itself does not run on Windows",
}

func checkWinRM(i *project.Image, l *diag.List) {
	if i.WinRMPassword == "" && i.WinRMUsername != "" && i.WinRMUsername != administrator {
		l.AddHint(i.At("winrm_username"), "EC2 makes a password for Administrator alone", "winrm_username %q needs winrm_password", i.WinRMUsername)
	}
	if i.TemporaryKeyPairType == "ed25519" {
		l.AddHint(i.At("temporary_key_pair_type"), "temporary_key_pair_type: rsa", "EC2 encrypts a Windows password for RSA keys alone")
	}
	if i.Cache != "" {
		l.Addf(i.At("cache"), "cache: steps needs SSH, and this builder is reached by WinRM")
	}
	if i.Tests != nil {
		l.Addf(i.At("tests"), "tests look at an instance by SSH, and this builder is reached by WinRM")
	}
	for _, p := range i.Provisioners {
		if hint := unfit[p.Type]; hint != "" {
			l.AddHint(p.At("type"), hint, "provisioner %s needs SSH and a shell of Unix, and this builder is reached by WinRM", p.Type)
		}
	}
}

// connectWindows gets the password, and waits until WinRM answers.
func (b *bake) connectWindows(ctx context.Context, address string) error {
	began := time.Now()
	var err error
	if b.password = b.image.WinRMPassword; b.password == "" {
		if b.password, err = b.windowsPassword(ctx); err != nil {
			return err
		}
		b.waitedFor(connectStep{}.name(), "the password of "+administrator, began)
	}
	b.hide.learn(b.password)
	limit := b.image.WinRMTimeout.Or(30 * time.Minute)
	b.say(event.Waiting, "WinRM at %s", address)
	began = time.Now()
	b.remote, err = b.reachWindows(ctx, address, limit)
	b.waitedFor(connectStep{}.name(), "WinRM at "+address, began)
	if err != nil {
		return err
	}
	b.say(event.Progress, "connected to %s as %s", address, b.user())
	return cloud.Sleep(ctx, b.image.PauseBeforeConnecting.Or(0))
}

// windowsPassword waits until EC2 knows the password that the builder has made
// for Administrator at its first boot, and decrypts it.
func (b *bake) windowsPassword(ctx context.Context) (string, error) {
	key, err := ssh.ParseRawPrivateKey([]byte(b.loginText))
	private, ok := key.(*rsa.PrivateKey)
	if err != nil || !ok {
		return "", fail.Inputf("%s: ssh_private_key_file: EC2 encrypts a Windows password for RSA keys alone; or give winrm_password", b.image.At("ssh_private_key_file"))
	}
	limit := b.image.WindowsPasswordTimeout.Or(20 * time.Minute)
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	b.say(event.Waiting, "EC2 to know the password of builder %s", b.builder.id)
	for pause := b.cloud.Pace(); ; pause = min(2*pause, 15*time.Second) {
		out, err := b.cloud.EC2.GetPasswordData(ctx, &ec2.GetPasswordDataInput{InstanceId: aws.String(b.builder.id)})
		if err != nil && !cloud.NotFound(err) {
			return "", fmt.Errorf("password of builder %s: %w", b.builder.id, err)
		}
		if data := strings.TrimSpace(aws.ToString(passwordOf(out))); data != "" {
			return decryptPassword(private, data)
		}
		if cloud.Sleep(within, pause) != nil {
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			err := fmt.Errorf("builder %s has no password within %s", b.builder.id, limit)
			return "", fail.WithHint(err, "the source image must be Windows, and prepared by EC2Launch to make a password at its first boot; or give winrm_password")
		}
	}
}

func passwordOf(out *ec2.GetPasswordDataOutput) *string {
	if out == nil {
		return nil
	}
	return out.PasswordData
}

func decryptPassword(key *rsa.PrivateKey, data string) (string, error) {
	sealed, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return "", fmt.Errorf("password of the builder: %w", err)
	}
	plain, err := rsa.DecryptPKCS1v15(nil, key, sealed) //nolint:staticcheck // EC2 encrypts so
	if err != nil {
		return "", fmt.Errorf("the password is not encrypted for the bake's key: %w", err)
	}
	return string(plain), nil
}

// reachWindows tries until WinRM answers.
func (b *bake) reachWindows(ctx context.Context, address string, limit time.Duration) (*remote, error) {
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	open, err := b.dialer()
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address of the builder: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("address of the builder: %w", err)
	}
	config := &sdkwinrm.Config{
		Host: host, Port: number, Username: b.user(), Password: b.password, Timeout: limit,
		Https: b.image.WinRMUseSSL, Insecure: b.image.WinRMInsecure,
	}
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		r, err := connectWinRM(within, config, b.image.WinRMUseNTLM, open)
		if err == nil {
			return r, nil
		}
		if cloud.Sleep(within, pause) != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			err = fmt.Errorf("WinRM at %s does not answer as it must within %s: %w", address, limit, errors.New(b.hide.text(err.Error())))
			return nil, fail.WithHint(err, "look at user_data, which has to let WinRM in, winrm_username (%q), winrm_use_ssl, winrm_insecure, winrm_use_ntlm, the subnet's route and the security group's rules", b.user())
		}
	}
}

// connectWinRM opens a shell, which proves that whoever answers takes the
// password.
func connectWinRM(ctx context.Context, config *sdkwinrm.Config, ntlm bool, open func(context.Context, string) (net.Conn, error)) (*remote, error) {
	r := &remote{ctx: ctx}
	dial := func(_, address string) (net.Conn, error) {
		return r.keep(func(ctx context.Context) (net.Conn, error) { return open(ctx, address) })
	}
	own := *config
	own.TransportDecorator = func() winrm.Transporter {
		if ntlm {
			return winrm.NewClientNTLMWithDial(dial)
		}
		return winrm.NewClientWithDial(dial)
	}
	stop := context.AfterFunc(ctx, r.drop)
	defer stop()
	comm, err := sdkwinrm.New(&own)
	if err != nil {
		r.drop()
		return nil, err
	}
	r.comm = comm
	return r, nil
}
