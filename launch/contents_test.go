package launch

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/machine"
	"github.com/goldline-dev/goldline/internal/tags"
	"golang.org/x/crypto/ssh"
)

// TestContentsMove: what an instance wrote to its volume is there for its
// successor.
func TestContentsMove(t *testing.T) {
	s := newSiteOn(t, machine.InProcess, platform())
	signer := s.importKey("test")
	s.edit("topology/instances/db.yaml", "subnet:", "key_name: test\nsubnet:")
	s.promote("web", "1.0.0")
	s.promote("db", "1.0.0")
	s.launch()
	s.run("instance.db", signer, "mkfs.ext4 -q /dev/xvdf && mkdir -p /srv/shop && mount /dev/xvdf /srv/shop && echo one order > /srv/shop/orders")
	s.promote("db", "2.0.0")
	s.launch()
	if got := s.run("instance.db", signer, "mkdir -p /srv/shop && mount /dev/xvdf /srv/shop && cat /srv/shop/orders"); got != "one order\n" {
		t.Errorf("the volume holds %q", got)
	}
	s.settled()
}

// run carries out a command on an instance and gives its output.
func (s *site) run(address string, key ssh.Signer, command string) string {
	s.t.Helper()
	list, err := Instances(context.Background(), s.options())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, i := range list {
		if i.Address == address {
			return s.runOn(net.JoinHostPort(i.PublicIP, "22"), key, command)
		}
	}
	s.t.Fatalf("no %s", address)
	return ""
}

func (s *site) runOn(host string, key ssh.Signer, command string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		output, err := s.tryRun(ctx, host, key, command)
		if err == nil {
			return output
		}
		if _, ran := err.(*ssh.ExitError); ran || cloud.Sleep(ctx, 50*time.Millisecond) != nil {
			s.t.Fatalf("%s: %v: %s", command, err, output)
		}
	}
}

func (s *site) tryRun(ctx context.Context, host string, key ssh.Signer, command string) (string, error) {
	conn, err := s.local.Dial(ctx, "tcp", host)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	over, channels, requests, err := ssh.NewClientConn(conn, host, &ssh.ClientConfig{
		User: "admin", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		return "", err
	}
	client := ssh.NewClient(over, channels, requests)
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return "", err
	}
	defer session.Close()
	output, err := session.CombinedOutput("sudo sh -c '" + strings.ReplaceAll(command, "'", "") + "'")
	return string(output), err
}

// TestImagesSnapshotsAreNobodysStrays: a bake tags the snapshots of its image
// with the environment that it ran in; a launch there leaves them alone.
func TestImagesSnapshotsAreNobodysStrays(t *testing.T) {
	s := newPlatform(t)
	s.launch()
	ctx := context.Background()
	out, err := s.cloud.EC2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
	if err != nil || len(out.Snapshots) == 0 {
		t.Fatalf("no snapshots: %v", err)
	}
	if err := createTags(ctx, s.cloud, []string{*out.Snapshots[0].SnapshotId}, map[string]string{
		tags.Project: "shop", tags.Environment: "dev", tags.Image: "web"}); err != nil {
		t.Fatal(err)
	}
	s.settled()
}
