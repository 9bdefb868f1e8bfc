package emulator

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"golang.org/x/crypto/ssh"
)

// A Windows instance has a password once it has booted, for whoever has the key;
// nobody else's has one.
func TestPasswordOfWindows(t *testing.T) {
	clock := NewDrivenClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	c := newTestCloud(t, Options{Machine: NoMachines, Clock: clock})
	key := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	public := must(ssh.NewPublicKey(&key.PublicKey))(t)
	must(c.ec2.ImportKeyPair(t.Context(), &ec2.ImportKeyPairInput{KeyName: new("k"), PublicKeyMaterial: ssh.MarshalAuthorizedKey(public)}))(t)
	password := func(image string) (before, after string) {
		found := must(c.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Filters: where("name", image)}))(t).Images
		made := must(c.ec2.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: found[0].ImageId, InstanceType: "t3.large", MinCount: new(int32(1)), MaxCount: new(int32(1)), KeyName: new("k")}))(t)
		ask := &ec2.GetPasswordDataInput{InstanceId: made.Instances[0].InstanceId}
		before = *must(c.ec2.GetPasswordData(t.Context(), ask))(t).PasswordData
		clock.Advance(time.Hour)
		return before, strings.TrimSpace(*must(c.ec2.GetPasswordData(t.Context(), ask))(t).PasswordData)
	}
	if before, after := password("debian-12-amd64-20251006-2257"); before+after != "" {
		t.Errorf("of Debian: %q, %q", before, after)
	}
	before, after := password("Windows_Server-2022-*")
	plain := must(rsa.DecryptPKCS1v15(nil, key, must(base64.StdEncoding.DecodeString(after))(t)))(t) //nolint:staticcheck // EC2 encrypts so
	if before != "" || !strings.HasPrefix(string(plain), "Aa1") {
		t.Errorf("%q, then %q", before, plain)
	}
	of := must(c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: where("platform", "windows", "platform-details", "Windows")}))(t)
	if len(of.Reservations) != 1 || of.Reservations[0].Instances[0].Platform != "windows" {
		t.Errorf("%+v", of.Reservations)
	}
	pair := must(c.ec2.CreateKeyPair(t.Context(), &ec2.CreateKeyPairInput{KeyName: new("e"), KeyType: "ed25519"}))(t)
	_, err := c.ec2.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: of.Reservations[0].Instances[0].ImageId, InstanceType: "t3.large", MinCount: new(int32(1)), MaxCount: new(int32(1)), KeyName: pair.KeyName,
	})
	if err == nil || !strings.Contains(err.Error(), "ED25519 key pairs are not supported with Windows AMIs") {
		t.Errorf("with an ED25519 key: %v", err)
	}
}
