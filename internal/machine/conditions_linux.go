package machine

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Conditions tells apart the circumstances that decide which kinds of machine
// work below dir: the boot of the system, this process's user, its capabilities
// and namespaces, and the file system. While they are the same, so is the
// answer of Available. It is empty where that cannot be told.
func Conditions(dir string) string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return ""
	}
	var at unix.Stat_t
	if err := unix.Stat(dir, &at); err != nil {
		return ""
	}
	parts := []string{strings.TrimSpace(string(boot)), fmt.Sprintf("uid:%d", os.Geteuid()), fmt.Sprintf("dev:%d", at.Dev)}
	for line := range strings.Lines(string(status)) {
		if name, value, ok := strings.Cut(line, ":"); ok && (name == "CapEff" || name == "CapBnd" || name == "NoNewPrivs" || name == "Seccomp") {
			parts = append(parts, name+":"+strings.TrimSpace(value))
		}
	}
	for _, namespace := range []string{"user", "mnt", "pid", "net"} {
		link, err := os.Readlink("/proc/self/ns/" + namespace)
		if err != nil {
			return ""
		}
		parts = append(parts, link)
	}
	return strings.Join(parts, " ")
}
