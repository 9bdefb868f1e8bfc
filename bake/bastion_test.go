package bake

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/project"
)

func TestThroughABastion(t *testing.T) {
	l, server := stubbedCloud(t)
	bastion, other := stubSSH(t), stubSSH(t)
	image := func(version, key string) *project.Image {
		i := l.stubbed(server, version)
		i.SSHTimeout = project.Duration(time.Second)
		i.Bastion = project.Bastion{BastionHost: "127.0.0.1", BastionPort: bastion.port, BastionUsername: "jump", BastionPassword: "let me in", BastionPublicKey: key}
		return i
	}
	if _, err := New(l.options("r1")).Bake(context.Background(), image("1", bastion.hostKey)); err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	if !strings.Contains(l.said.String(), "open to 10.0.0.0/8") {
		t.Errorf("the group is not open to the bastion:\n%s", l.said.String())
	}
	_, err := New(l.options("r2")).Bake(context.Background(), image("2", other.hostKey))
	if err == nil || !strings.Contains(err.Error(), "host key") {
		t.Errorf("with the key of another bastion: %v", err)
	}
	t.Setenv("HOME", t.TempDir())
	_, err = New(l.options("r3")).Bake(context.Background(), image("3", ""))
	if err == nil || !strings.Contains(err.Error(), "the bastion's host key is not known") {
		t.Errorf("with a key that nobody knows: %v", err)
	}
}
