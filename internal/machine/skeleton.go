package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// systemName is what /etc/os-release says of an operating system.
type systemName struct{ id, name, version, pretty, like string }

func operatingSystem(id string) systemName {
	switch id {
	case "ubuntu-24.04":
		return systemName{"ubuntu", "Ubuntu", "24.04", "Ubuntu 24.04 LTS", "debian"}
	case "amazon-linux-2023":
		return systemName{"amzn", "Amazon Linux", "2023", "Amazon Linux 2023", "fedora"}
	}
	return systemName{"debian", "Debian GNU/Linux", "12", "Debian GNU/Linux 12 (bookworm)", ""}
}

func osRelease(id string) string {
	s := operatingSystem(id)
	text := fmt.Sprintf("PRETTY_NAME=%q\nNAME=%q\nVERSION_ID=%q\nID=%s\n", s.pretty, s.name, s.version, s.id)
	switch {
	case s.id == "debian":
		text += "VERSION_CODENAME=bookworm\n"
	case s.id == "ubuntu":
		text += "VERSION_CODENAME=noble\n"
	}
	if s.like != "" {
		text += "ID_LIKE=" + s.like + "\n"
	}
	return text
}

// standardDirs are the folders every machine has, with their modes.
var standardDirs = []struct {
	path string
	mode fs.FileMode
}{
	{"usr/bin", 0o755}, {"usr/sbin", 0o755}, {"usr/lib", 0o755}, {"usr/share", 0o755},
	{"usr/local/bin", 0o755}, {"usr/local/sbin", 0o755}, {"usr/local/lib", 0o755}, {"usr/local/etc", 0o755}, {"usr/local/share", 0o755},
	{"etc/ssh", 0o755}, {"etc/sudoers.d", 0o750}, {"etc/systemd/system", 0o755}, {"etc/cron.d", 0o755}, {"etc/profile.d", 0o755}, {"etc/default", 0o755},
	{"var/lib", 0o755}, {"var/log", 0o755}, {"var/cache", 0o755}, {"var/spool/cron", 0o755}, {"var/mail", 0o755}, {"var/local", 0o755}, {"var/opt", 0o755}, {"var/www", 0o755},
	{"var/tmp", 0o777 | fs.ModeSticky}, {"tmp", 0o777 | fs.ModeSticky},
	{"home", 0o755}, {"root", 0o700}, {"srv", 0o755}, {"opt", 0o755}, {"mnt", 0o755}, {"media", 0o755}, {"boot", 0o755},
	{"run/lock", 0o755}, {"dev", 0o755}, {"proc", 0o555}, {"sys", 0o555},
}

// makeDirs makes the standard folders below root.
func makeDirs(root string) error {
	for _, dir := range standardDirs {
		p := filepath.Join(root, dir.path)
		if err := os.MkdirAll(p, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(p, dir.mode); err != nil {
			return err
		}
	}
	for link, target := range map[string]string{"var/run": "/run", "var/lock": "/run/lock"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// standardFiles are the contents of /etc on a machine that takes nothing from
// its host.
func standardFiles(os string) map[string]string {
	return map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nbin:x:2:2:bin:/bin:/usr/sbin/nologin\n" +
			"www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
		"etc/group":      "root:x:0:\ndaemon:x:1:\nbin:x:2:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nsudo:x:27:\nwww-data:x:33:\nusers:x:100:\nwheel:x:990:\ndocker:x:991:\nnogroup:x:65534:\n",
		"etc/shadow":     "root:*:19700:0:99999:7:::\ndaemon:*:19700:0:99999:7:::\nbin:*:19700:0:99999:7:::\nwww-data:*:19700:0:99999:7:::\nnobody:*:19700:0:99999:7:::\n",
		"etc/os-release": osRelease(os),
		"etc/fstab":      "# <file system> <mount point> <type> <options> <dump> <pass>\n",
		"etc/shells":     "/bin/sh\n/bin/bash\n",
		"etc/profile":    "",
		"etc/motd":       "",
	}
}
