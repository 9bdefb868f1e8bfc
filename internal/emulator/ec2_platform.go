package emulator

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/crypto/ssh"
)

// windowsOS is the operating system of the Windows image. Nothing runs it here:
// a cloud with machines refuses to launch it.
const windowsOS = "windows-2022"

// platform is what images and instances say of their operating system.
type platform struct{ name, details, operation string }

func platformOf(os string) platform {
	if os == windowsOS {
		return platform{"windows", "Windows", "RunInstances:0002"}
	}
	return platform{"", "Linux/UNIX", "RunInstances"}
}

// mayRun refuses instances of an operating system that no machine here runs.
func (s *ec2Service) mayRun(os, publicKey string) error {
	switch {
	case os != windowsOS:
		return nil
	case s.hosts.on():
		return refuse("Unsupported", "The local cloud runs no Windows: with --local-machine none its instances run nothing.")
	case strings.HasPrefix(publicKey, ssh.KeyAlgoED25519):
		return refuse("InvalidParameterCombination", "ED25519 key pairs are not supported with Windows AMIs.")
	}
	return nil
}

// getPasswordData gives what EC2Launch makes at the first boot, encrypted for the
// key that the instance was launched with: nothing of other systems, and nothing
// before it has booted.
func (s *ec2Service) getPasswordData(c apiCall, in *ec2.GetPasswordDataInput) (*ec2.GetPasswordDataOutput, error) {
	row, err := s.liveInstance(c, in.InstanceId)
	if err != nil {
		return nil, err
	}
	out := &ec2.GetPasswordDataOutput{InstanceId: new(row.ID), Timestamp: new(c.now), PasswordData: new("")}
	if row.OS != windowsOS || row.PublicKey == "" || row.State == statePending {
		return out, nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(row.PublicKey))
	if err != nil {
		return nil, err
	}
	public, ok := key.(ssh.CryptoPublicKey).CryptoPublicKey().(*rsa.PublicKey)
	if !ok {
		return out, nil
	}
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, public, []byte(windowsPassword(row.ID))) //nolint:staticcheck // EC2 encrypts so
	if err != nil {
		return nil, err
	}
	out.PasswordData = new("\r\n" + base64.StdEncoding.EncodeToString(sealed) + "\r\n")
	return out, nil
}

// windowsPassword is the same whenever it is asked for, as EC2's is.
func windowsPassword(instance string) string {
	sum := sha256.Sum256([]byte("password of " + instance))
	return "Aa1" + base64.RawURLEncoding.EncodeToString(sum[:])[:16]
}

// windowsImage is Amazon's, one version of it.
func windowsImage() sourceImage {
	return sourceImage{
		os: windowsOS, user: "Administrator", owner: "801119661308", alias: "amazon", name: "Windows_Server-2022-English-Full-Base-2025.10.15",
		description: "Microsoft Windows Server 2022 Full Locale English AMI provided by Amazon", arch: types.ArchitectureValuesX8664,
		date: "2025-10-15T18:22:07.000Z", root: "/dev/sda1", size: 30,
	}
}
