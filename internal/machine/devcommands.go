package machine

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// deviceCommands are the programs that deal with block devices and power. A
// volume is a folder of the host, so on every kind of machine these are
// answered here and not by the machine's own programs.
var deviceCommands = []string{
	"mkfs", "mkfs.ext2", "mkfs.ext3", "mkfs.ext4", "mkfs.xfs", "mkfs.btrfs", "mke2fs",
	"blkid", "lsblk", "mount", "umount", "mountpoint", "findmnt", "resize2fs", "xfs_growfs",
	"shutdown", "poweroff", "halt", "reboot",
}

// deviceCommand runs one of them and gives its exit code.
func (m *running) deviceCommand(ctx context.Context, p process) int {
	name, args := path.Base(p.argv[0]), p.argv[1:]
	harmless := name == "blkid" || name == "lsblk" || name == "findmnt" || name == "mountpoint" || name == "mount" && len(args) == 0
	if p.user.uid != 0 && !harmless {
		fmt.Fprintf(p.err, "%s: must be superuser to do this\n", name)
		return 1
	}
	switch name {
	case "shutdown", "poweroff", "halt", "reboot":
		return m.powerCommand(p)
	}
	v := m.volumes
	v.mu.Lock()
	defer v.mu.Unlock()
	switch name {
	case "blkid":
		return v.blkid(args, p.out)
	case "lsblk":
		return v.lsblk(args, p.out, p.err)
	case "mount":
		return v.mount(ctx, p)
	case "umount":
		return v.umount(ctx, p)
	case "mountpoint":
		return v.mountpoint(args, p)
	case "findmnt":
		return v.findmnt(args, p)
	case "resize2fs", "xfs_growfs":
		return 0 // a folder is as large as it needs to be
	}
	return v.mkfs(name, args, p.out, p.err)
}

func (v *volumes) mkfs(program string, args []string, out, errOut io.Writer) int {
	f := format{kind: "ext4", uuid: newUUID()}
	if kind, ok := strings.CutPrefix(program, "mkfs."); ok {
		f.kind = kind
	}
	device, force := "", false
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case (arg == "-t" || arg == "--type") && i+1 < len(args):
			i++
			f.kind = args[i]
		case (arg == "-L" || arg == "--label") && i+1 < len(args):
			i++
			f.label = args[i]
		case arg == "-U" && i+1 < len(args):
			i++
			f.uuid = args[i]
		case slices.Contains([]string{"-b", "-E", "-i", "-I", "-J", "-m", "-N", "-O", "-T", "-d", "-l", "-s"}, arg) && i+1 < len(args):
			i++
		case arg == "-f" || arg == "-F":
			force = true
		case !strings.HasPrefix(arg, "-") && device == "":
			device = arg
		}
	}
	name, ok := v.find(device)
	if !ok {
		fmt.Fprintf(errOut, "%s: %s: no such device\n", program, device)
		return 1
	}
	if len(v.attached[name]) > 0 {
		fmt.Fprintf(errOut, "%s: %s is mounted; will not make a filesystem here!\n", program, device)
		return 1
	}
	if _, formatted := v.format(name); formatted && !force && f.kind == "xfs" {
		fmt.Fprintf(errOut, "mkfs.xfs: %s appears to contain an existing filesystem.\nmkfs.xfs: Use the -f option to force overwrite.\n", device)
		return 1
	}
	if err := v.reformat(name, f); err != nil {
		fmt.Fprintf(errOut, "%s: %s: %v\n", program, device, cause(err))
		return 1
	}
	fmt.Fprintf(out, "Creating filesystem on %s\nFilesystem UUID: %s\n", device, f.uuid)
	return 0
}

func (v *volumes) blkid(args []string, out io.Writer) int {
	var devices []string
	only, bare := "", false
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "-s" && i+1 < len(args):
			i++
			only = args[i]
		case arg == "-o" && i+1 < len(args):
			i++
			bare = args[i] == "value"
		case (arg == "-L" || arg == "-U") && i+1 < len(args):
			i++
			tag := map[string]string{"-L": "LABEL=", "-U": "UUID="}[arg]
			name, ok := v.find(tag + args[i])
			if !ok {
				return 2
			}
			fmt.Fprintln(out, "/dev/"+name)
			return 0
		case !strings.HasPrefix(arg, "-"):
			devices = append(devices, arg)
		}
	}
	if len(devices) == 0 {
		for _, name := range v.sorted() {
			devices = append(devices, "/dev/"+name)
		}
	}
	exit := 2 // as blkid ends when it has nothing to tell
	for _, device := range devices {
		name, ok := v.find(device)
		if !ok {
			continue
		}
		f, formatted := v.format(name)
		if !formatted {
			continue
		}
		exit = 0
		line := ""
		for _, tag := range [][2]string{{"LABEL", f.label}, {"UUID", f.uuid}, {"BLOCK_SIZE", "4096"}, {"TYPE", f.kind}} {
			switch {
			case tag[1] == "" || only != "" && only != tag[0]:
			case bare:
				fmt.Fprintln(out, tag[1])
			default:
				line += fmt.Sprintf(" %s=%q", tag[0], tag[1])
			}
		}
		if !bare {
			fmt.Fprintln(out, device+":"+line)
		}
	}
	return exit
}

func (v *volumes) lsblk(args []string, out, errOut io.Writer) int {
	columns, header, full := []string{"NAME", "TYPE", "FSTYPE", "MOUNTPOINTS"}, true, false
	wanted := v.sorted()
	var asked []string
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--"):
			header = header && !strings.Contains(arg, "n")
			full = full || strings.Contains(arg, "p")
			if strings.HasSuffix(arg, "o") && i+1 < len(args) {
				i++
				columns = strings.Split(strings.ToUpper(args[i]), ",")
			}
		case !strings.HasPrefix(arg, "-"):
			name, ok := v.find(arg)
			if !ok {
				fmt.Fprintf(errOut, "lsblk: %s: not a block device\n", arg)
				return 32
			}
			asked = append(asked, name)
		}
	}
	if asked != nil {
		wanted = asked
	}
	if header {
		fmt.Fprintln(out, strings.Join(columns, " "))
	}
	for _, name := range wanted {
		f, _ := v.format(name)
		shown := name
		if full {
			shown = "/dev/" + name
		}
		mounts := strings.Join(v.attached[name], ",")
		value := map[string]string{
			"NAME": shown, "PATH": "/dev/" + name, "KNAME": shown, "TYPE": "disk", "FSTYPE": f.kind,
			"UUID": f.uuid, "LABEL": f.label, "MOUNTPOINT": mounts, "MOUNTPOINTS": mounts,
		}
		row := make([]string, len(columns))
		for i, column := range columns {
			row[i] = value[column]
		}
		fmt.Fprintln(out, strings.TrimRight(strings.Join(row, " "), " "))
	}
	return 0
}

func (v *volumes) mount(ctx context.Context, p process) int {
	var rest []string
	for i := 1; i < len(p.argv); i++ {
		switch arg := p.argv[i]; {
		case arg == "-a" || arg == "--all":
			return v.mountAll(ctx, p)
		case (arg == "-o" || arg == "-t" || arg == "-O" || arg == "--types" || arg == "--options") && i+1 < len(p.argv):
			i++
		case (arg == "-L" || arg == "-U") && i+1 < len(p.argv):
			i++
			rest = append(rest, map[string]string{"-L": "LABEL=", "-U": "UUID="}[arg]+p.argv[i])
		case !strings.HasPrefix(arg, "-"):
			rest = append(rest, arg)
		}
	}
	if len(rest) == 0 {
		v.listMounts(p.out)
		return 0
	}
	source, target := rest[0], ""
	if len(rest) > 1 {
		target = rest[1]
	} else if entry, ok := v.fstabEntry(source); ok {
		source, target = entry[0], entry[1]
	} else {
		fmt.Fprintf(p.err, "mount: %s: can't find in /etc/fstab.\n", source)
		return 1
	}
	name, ok := v.find(source)
	if !ok {
		return v.guest.otherMount(ctx, p)
	}
	return v.mountVolume(ctx, p, name, source, target)
}

func (v *volumes) mountVolume(ctx context.Context, p process, name, source, target string) int {
	if !path.IsAbs(target) {
		target = path.Join(p.dir, target)
	}
	info, err := v.guest.tree().stat(target)
	if err != nil || !info.IsDir() {
		fmt.Fprintf(p.err, "mount: %s: mount point does not exist.\n", target)
		return 32
	}
	if _, formatted := v.format(name); !formatted {
		fmt.Fprintf(p.err, "mount: %s: wrong fs type, bad option, bad superblock on %s, missing codepage or helper program, or other error.\n", target, source)
		return 32
	}
	at, err := v.guest.tree().resolve(target, true)
	if err != nil {
		fmt.Fprintf(p.err, "mount: %v\n", err)
		return 32
	}
	if slices.Contains(v.attached[name], at.abs) {
		fmt.Fprintf(p.err, "mount: %s: %s already mounted on %s.\n", target, source, target)
		return 32
	}
	if err := v.guest.bind(ctx, name, at.abs); err != nil {
		fmt.Fprintf(p.err, "mount: %s: %v\n", target, cause(err))
		return 32
	}
	v.attached[name] = append(v.attached[name], at.abs)
	return 0
}

// fstab is the machine's table of file systems: source and mount point.
func (v *volumes) fstab() [][2]string {
	data, _ := v.guest.tree().readFile("/etc/fstab") // none is as good as empty
	var entries [][2]string
	for line := range strings.Lines(string(data)) {
		field := strings.Fields(line)
		if len(field) >= 2 && !strings.HasPrefix(field[0], "#") {
			entries = append(entries, [2]string{strings.ReplaceAll(field[0], `"`, ""), field[1]})
		}
	}
	return entries
}

func (v *volumes) fstabEntry(key string) ([2]string, bool) {
	for _, entry := range v.fstab() {
		if entry[0] == key || entry[1] == key {
			return entry, true
		}
	}
	return [2]string{}, false
}

// mountAll mounts what fstab says and is attached, as a boot does; what is not
// attached is passed over as with nofail.
func (v *volumes) mountAll(ctx context.Context, p process) int {
	exit := 0
	for _, entry := range v.fstab() {
		name, ok := v.find(entry[0])
		if !ok || slices.Contains(v.attached[name], path.Clean(entry[1])) {
			continue
		}
		exit = max(exit, v.mountVolume(ctx, p, name, entry[0], entry[1]))
	}
	return exit
}

func (v *volumes) listMounts(out io.Writer) {
	fmt.Fprintln(out, "/dev/root on / type ext4 (rw,relatime)")
	for _, name := range v.sorted() {
		f, _ := v.format(name)
		for _, at := range v.attached[name] {
			fmt.Fprintf(out, "/dev/%s on %s type %s (rw,relatime)\n", name, at, f.kind)
		}
	}
}

func (v *volumes) umount(ctx context.Context, p process) int {
	exit, asked := 0, false
	for _, arg := range p.argv[1:] {
		if strings.HasPrefix(arg, "-") {
			continue
		}
		asked = true
		name, at := v.mounted(arg, p.dir)
		if name == "" {
			if _, isVolume := v.find(arg); isVolume {
				fmt.Fprintf(p.err, "umount: %s: not mounted.\n", arg)
				exit = 32
				continue
			}
			other := p
			other.argv = []string{"umount", arg}
			exit = max(exit, v.guest.otherMount(ctx, other))
			continue
		}
		if err := v.guest.unbind(ctx, at); err != nil {
			fmt.Fprintf(p.err, "umount: %s: %v\n", arg, cause(err))
			exit = 32
			continue
		}
		v.attached[name] = slices.DeleteFunc(v.attached[name], func(m string) bool { return m == at })
	}
	if !asked {
		fmt.Fprintln(p.err, "umount: bad usage")
		return 1
	}
	return exit
}

// mounted finds a mounted volume by device or mount point; of a device, the
// last of its mounts.
func (v *volumes) mounted(what, dir string) (name, at string) {
	if name, ok := v.find(what); ok {
		if mounts := v.attached[name]; len(mounts) > 0 {
			return name, mounts[len(mounts)-1]
		}
		return "", ""
	}
	if !path.IsAbs(what) {
		what = path.Join(dir, what)
	}
	if spot, err := v.guest.tree().resolve(what, true); err == nil {
		what = spot.abs
	}
	for name, mounts := range v.attached {
		if slices.Contains(mounts, what) {
			return name, what
		}
	}
	return "", ""
}

func (v *volumes) mountpoint(args []string, p process) int {
	quiet := false
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			quiet = quiet || strings.Contains(arg, "q")
			continue
		}
		name, _ := v.mounted(arg, p.dir)
		clean := path.Clean(arg)
		is := name != "" && !strings.HasPrefix(arg, "/dev/") || clean == "/" || clean == "/proc" || clean == "/dev"
		if !quiet {
			fmt.Fprintln(p.out, arg+map[bool]string{true: " is a mountpoint", false: " is not a mountpoint"}[is])
		}
		if !is {
			return 32
		}
		return 0
	}
	return 1
}

func (v *volumes) findmnt(args []string, p process) int {
	columns, header := []string{"TARGET", "SOURCE", "FSTYPE", "OPTIONS"}, true
	filter := ""
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--"):
			header = header && !strings.Contains(arg, "n")
			if strings.HasSuffix(arg, "o") && i+1 < len(args) {
				i++
				columns = strings.Split(strings.ToUpper(args[i]), ",")
			}
		case !strings.HasPrefix(arg, "-"):
			filter = arg
		}
	}
	rows := []map[string]string{{"TARGET": "/", "SOURCE": "/dev/root", "FSTYPE": "ext4", "OPTIONS": "rw,relatime"}}
	for _, name := range v.sorted() {
		f, _ := v.format(name)
		for _, at := range v.attached[name] {
			rows = append(rows, map[string]string{"TARGET": at, "SOURCE": "/dev/" + name, "FSTYPE": f.kind, "UUID": f.uuid, "OPTIONS": "rw,relatime"})
		}
	}
	device, at := v.mounted(filter, p.dir)
	shown := false
	for _, row := range rows {
		if filter != "" && row["TARGET"] != path.Clean(filter) && (device == "" || row["TARGET"] != at) {
			continue
		}
		if header && !shown {
			fmt.Fprintln(p.out, strings.Join(columns, " "))
		}
		shown = true
		cells := make([]string, len(columns))
		for i, column := range columns {
			cells[i] = row[column]
		}
		fmt.Fprintln(p.out, strings.Join(cells, " "))
	}
	if !shown {
		return 1
	}
	return 0
}

// powerCommand serves shutdown and its kin. An emulated machine does not come
// back by itself, so a reboot is refused rather than turned into an end.
func (m *running) powerCommand(p process) int {
	name := path.Base(p.argv[0])
	when, cancel, reboot := "+1", false, name == "reboot"
	if name != "shutdown" {
		when = "now"
	}
	given := false
	for _, arg := range p.argv[1:] {
		switch {
		case arg == "-c":
			cancel = true
		case arg == "-r" || arg == "--reboot":
			reboot = true
		case !strings.HasPrefix(arg, "-") && !given:
			when, given = arg, true
		}
	}
	switch {
	case cancel:
		m.power.cancelled()
		return 0
	case reboot:
		fmt.Fprintf(p.err, "%s: an emulated machine cannot restart itself\n", name)
		return 1
	}
	delay, err := shutdownDelay(when, time.Now())
	if err != nil {
		fmt.Fprintf(p.err, "%s: %v\n", name, err)
		return 1
	}
	if delay > 0 {
		fmt.Fprintf(p.err, "Shutdown scheduled for %s, use 'shutdown -c' to cancel.\n", time.Now().Add(delay).Format(time.RFC1123))
	}
	m.power.in(delay)
	return 0
}

// shutdownDelay reads shutdown's time: now, +minutes, minutes, or hh:mm.
func shutdownDelay(when string, now time.Time) (time.Duration, error) {
	if when == "now" {
		return 0, nil
	}
	if minutes, err := strconv.Atoi(strings.TrimPrefix(when, "+")); err == nil && minutes >= 0 {
		return time.Duration(minutes) * time.Minute, nil
	}
	clock, err := time.Parse("15:04", when)
	if err != nil {
		return 0, fmt.Errorf("invalid time %q", when)
	}
	at := time.Date(now.Year(), now.Month(), now.Day(), clock.Hour(), clock.Minute(), 0, 0, now.Location())
	if !at.After(now) {
		at = at.AddDate(0, 0, 1)
	}
	return at.Sub(now), nil
}
