// Package machine is what an emulated instance runs on: a place where shell
// commands really run, with a file system of its own that starts as an image's
// files, an SSH server, a metadata service, and a boot that treats user data as
// cloud-init does. Nothing that runs on a machine can change the host, and
// nothing of a machine outlives the process that started it but its folder.
package machine

import (
	"context"
	"io"
	"net/netip"
)

// Kind is a way of keeping a machine apart from its host.
type Kind string

const (
	// Overlay is an overlay over the host's system directories in namespaces of
	// its own: needs Linux and root. Real apt-get, useradd, python3.
	Overlay Kind = "overlay"
	// UserNS has the host's /usr read-only in an unprivileged user namespace.
	UserNS Kind = "userns"
	// InProcess interprets shell scripts in this process, confined to the
	// machine's folder, with the usual small commands built in. Works anywhere.
	InProcess Kind = "in-process"
)

// Spec is what a machine is started with.
type Spec struct {
	ID     string   // i-0123456789abcdef0
	Dir    string   // the machine's own folder, kept when it stops; started again with the same one it has its files still
	Layers []string // folders of the root image's changed files, topmost first; read-only
	OS     string   // "debian-12", "ubuntu-24.04" or "amazon-linux-2023": what /etc/os-release says
	Arch   string   // "x86_64" or "arm64": what uname -m says where it can be made to
	User   string   // the login user that the image is known for: admin, ubuntu, ec2-user
	// AuthorizedKeys are OpenSSH public keys that the first boot gives to User.
	AuthorizedKeys []string
	Hostname       string
	UserData       []byte     // as it stands after base64, at most 16 KB
	Address        netip.Addr // the loopback address that is the machine's own
	// Metadata answers GET /latest/meta-data/<path>; a path that lists others
	// answers with their names, a line each.
	Metadata func(path string) (string, bool)
	// Volumes are attached from the start: device name (/dev/sdf) to the folder
	// that holds the volume's contents.
	Volumes map[string]string
	// Console gets what the machine prints as it boots and to /dev/console.
	Console io.Writer
	// PoweredOff is called once, from another goroutine, when something on the
	// machine shuts it down. It is not called for Stop.
	PoweredOff func()
}

// Machine is a running machine. Its methods may be called from many goroutines.
type Machine interface {
	// SSH is where its SSH server listens: port 22 of its own address where
	// the system allows, another port of 127.0.0.1 otherwise.
	SSH() netip.AddrPort
	// IMDS is the base URL of its metadata service, the value of
	// AWS_EC2_METADATA_SERVICE_ENDPOINT on the machine.
	IMDS() string
	// Booted is closed when the boot's scripts have ended.
	Booted() <-chan struct{}
	// BootFailed says, once Booted is closed, whether a boot script failed.
	BootFailed() error
	// Attach gives the machine a volume: while attached its contents live in
	// the machine's folder, so dir is gone until Detach puts it back.
	Attach(device, dir string) error
	// Detach unmounts the volume if it is mounted and moves its contents to dir.
	Detach(device, dir string) error
	// Stop ends every process of the machine and closes its listeners. The
	// folder stays. It returns when all of that is done.
	Stop(ctx context.Context) error
}
