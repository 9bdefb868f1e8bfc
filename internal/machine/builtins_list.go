package machine

import (
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// modeText is a file's type and mode as ls shows them.
func modeText(mode fs.FileMode) string {
	kind := map[fs.FileMode]string{0: "-", fs.ModeDir: "d", fs.ModeSymlink: "l", fs.ModeDevice: "b", fs.ModeDevice | fs.ModeCharDevice: "c", fs.ModeNamedPipe: "p", fs.ModeSocket: "s"}[mode.Type()]
	text := []byte(kind + mode.Perm().String()[1:])
	for _, special := range []struct {
		flag fs.FileMode
		at   int
		set  byte
	}{{fs.ModeSetuid, 3, 's'}, {fs.ModeSetgid, 6, 's'}, {fs.ModeSticky, 9, 't'}} {
		if mode&special.flag == 0 || len(text) < 10 {
			continue
		}
		if text[special.at] == '-' {
			special.set -= 'a' - 'A'
		}
		text[special.at] = special.set
	}
	return string(text)
}

func runLs(c *call) int {
	o, ok := c.parse("laA1dRhtrsnSFip", "all", "almost-all", "directory", "color:", "human-readable")
	if !ok {
		return 2
	}
	names := o.rest
	if len(names) == 0 {
		names = []string{"."}
	}
	exit := 0
	var files, dirs []string
	for _, name := range names {
		info, err := c.g.files.stat(c.abs(name))
		if err != nil {
			info, err = c.g.files.lstat(c.abs(name))
		}
		switch {
		case err != nil:
			c.fail("cannot access '"+name+"'", err)
			exit = 2
		case info.IsDir() && !o.has("d", "directory"):
			dirs = append(dirs, name)
		default:
			files = append(files, name)
		}
	}
	for _, name := range files {
		if info, err := c.g.files.lstat(c.abs(name)); err == nil {
			c.listOne(o, name, c.abs(name), info)
		}
	}
	for i, name := range dirs {
		if len(names) > 1 {
			if i > 0 || len(files) > 0 {
				fmt.Fprintln(c.out)
			}
			fmt.Fprintln(c.out, name+":")
		}
		if err := c.listDir(o, c.abs(name)); err != nil {
			c.fail("cannot open directory '"+name+"'", err)
			exit = 2
		}
	}
	return exit
}

func (c *call) listDir(o options, dir string) error {
	infos, err := c.g.files.readDir(dir)
	if err != nil {
		return err
	}
	if o.has("t") {
		sort.SliceStable(infos, func(i, j int) bool { return infos[i].ModTime().After(infos[j].ModTime()) })
	}
	if o.has("r") {
		for i, j := 0, len(infos)-1; i < j; i, j = i+1, j-1 {
			infos[i], infos[j] = infos[j], infos[i]
		}
	}
	if o.has("a", "all") {
		for _, name := range []string{".", ".."} {
			if info, err := c.g.files.stat(path.Join(dir, name)); err == nil {
				c.listOne(o, name, path.Join(dir, name), info)
			}
		}
	}
	for _, info := range infos {
		if strings.HasPrefix(info.Name(), ".") && !o.has("a", "A", "all", "almost-all") {
			continue
		}
		c.listOne(o, info.Name(), path.Join(dir, info.Name()), info)
	}
	return nil
}

func (c *call) listOne(o options, shown, p string, info fs.FileInfo) {
	if !o.has("l", "n") {
		fmt.Fprintln(c.out, shown)
		return
	}
	uid, gid := owner(info)
	user, group := strconv.Itoa(uid), strconv.Itoa(gid)
	if !o.has("n") {
		user, group = userName(c.g.files, uid), groupName(c.g.files, gid)
	}
	links := uint64(1)
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		links = uint64(stat.Nlink)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err := c.g.files.readlink(p); err == nil {
			shown += " -> " + target
		}
	}
	fmt.Fprintf(c.out, "%s %d %s %s %d %s %s\n", modeText(info.Mode()), links, user, group, info.Size(), info.ModTime().Format("Jan _2 15:04"), shown)
}

func runStat(c *call) int {
	o, ok := c.parse("c:Lf", "format:", "printf:", "dereference")
	if !ok {
		return 1
	}
	exit := 0
	for _, name := range o.rest {
		look := c.g.files.lstat
		if o.has("L", "dereference") {
			look = c.g.files.stat
		}
		info, err := look(c.abs(name))
		if err != nil {
			exit = c.fail("cannot statx '"+name+"'", err)
			continue
		}
		format, end := o.get("c", "format"), "\n"
		if o.has("printf") {
			format, end = strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(o.get("printf")), ""
		}
		if format == "" {
			format = "  File: %n\n  Size: %s\nAccess: (%a/%A)  Uid: (%u/%U)   Gid: (%g/%G)\nModify: %y"
		}
		fmt.Fprint(c.out, c.statText(format, name, info)+end)
	}
	return exit
}

func (c *call) statText(format, name string, info fs.FileInfo) string {
	uid, gid := owner(info)
	kind := map[fs.FileMode]string{0: "regular file", fs.ModeDir: "directory", fs.ModeSymlink: "symbolic link", fs.ModeDevice: "block special file"}[info.Mode().Type()]
	if kind == "regular file" && info.Size() == 0 {
		kind = "regular empty file"
	}
	inode := uint64(0)
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = stat.Ino
	}
	value := map[byte]string{
		'n': name, 's': strconv.FormatInt(info.Size(), 10), 'a': fmt.Sprintf("%o", unixBits(info.Mode())), 'A': modeText(info.Mode()),
		'u': strconv.Itoa(uid), 'g': strconv.Itoa(gid), 'U': userName(c.g.files, uid), 'G': groupName(c.g.files, gid), 'F': kind,
		'Y': strconv.FormatInt(info.ModTime().Unix(), 10), 'y': info.ModTime().Format("2006-01-02 15:04:05.000000000 -0700"),
		'i': strconv.FormatUint(inode, 10), 'N': "'" + name + "'", '%': "%",
	}
	var text strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] == '%' && i+1 < len(format) {
			i++
			text.WriteString(value[format[i]])
			continue
		}
		text.WriteByte(format[i])
	}
	return text.String()
}

// findTest is one of find's conditions.
type findTest func(p string, info fs.FileInfo) bool

// runFind knows -name, -iname, -path, -type, -maxdepth, -mindepth, -empty,
// -newer, ! and the actions -print, -print0, -delete, -exec.
func runFind(c *call) int {
	args := c.args[1:]
	var roots []string
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") && args[0] != "!" {
		roots, args = append(roots, args[0]), args[1:]
	}
	if roots == nil {
		roots = []string{"."}
	}
	var tests []findTest
	least, most, end := 0, 1<<30, "\n"
	var command []string
	remove, negate, batch := false, false, false
	for i := 0; i < len(args); i++ {
		value := ""
		if i+1 < len(args) {
			value = args[i+1]
		}
		var test findTest
		switch args[i] {
		case "-name", "-iname":
			i++
			fold := args[i-1] == "-iname"
			test = func(p string, _ fs.FileInfo) bool {
				name, pattern := path.Base(p), value
				if fold {
					name, pattern = strings.ToLower(name), strings.ToLower(pattern)
				}
				match, _ := path.Match(pattern, name)
				return match
			}
		case "-path", "-wholename":
			i++
			test = func(p string, _ fs.FileInfo) bool { return wildcard(value, p) }
		case "-type":
			i++
			test = func(_ string, info fs.FileInfo) bool {
				return strings.Contains(value, strings.Replace(modeText(info.Mode())[:1], "-", "f", 1))
			}
		case "-empty":
			test = func(p string, info fs.FileInfo) bool {
				if info.IsDir() {
					children, err := c.g.files.readDir(c.abs(p))
					return err == nil && len(children) == 0
				}
				return info.Size() == 0
			}
		case "-newer":
			i++
			since := time.Time{}
			if info, err := c.g.files.stat(c.abs(value)); err == nil {
				since = info.ModTime()
			}
			test = func(_ string, info fs.FileInfo) bool { return info.ModTime().After(since) }
		case "-maxdepth", "-mindepth":
			i++
			number, err := strconv.Atoi(value)
			if err != nil {
				c.errorf("expected a number after %s", args[i-1])
				return 1
			}
			if args[i-1] == "-maxdepth" {
				most = number
			} else {
				least = number
			}
		case "!", "-not":
			negate = !negate
			continue
		case "-print", "-depth", "-xdev", "-mount", "-a", "-and":
		case "-print0":
			end = "\x00"
		case "-delete":
			remove = true
		case "-exec":
			for i++; i < len(args) && args[i] != ";" && args[i] != "+"; i++ {
				command = append(command, args[i])
			}
			batch = i < len(args) && args[i] == "+"
		default:
			c.errorf("unknown predicate '%s'", args[i])
			return 1
		}
		if test != nil && negate {
			positive := test
			test = func(p string, info fs.FileInfo) bool { return !positive(p, info) }
		}
		negate = false
		if test != nil {
			tests = append(tests, test)
		}
	}
	var found []string
	exit := 0
	for _, root := range roots {
		base := c.abs(root)
		err := c.walk(base, func(p string, info fs.FileInfo) error {
			below := strings.TrimPrefix(strings.TrimPrefix(p, base), "/")
			depth := 0
			if below != "" {
				depth = strings.Count(below, "/") + 1
			}
			shown := strings.TrimSuffix(root+"/"+below, "/")
			if root == "/" {
				shown = "/" + below
			}
			if depth < least || depth > most {
				return nil
			}
			for _, test := range tests {
				if !test(shown, info) {
					return nil
				}
			}
			found = append(found, shown)
			return nil
		})
		if err != nil {
			exit = c.fail("'"+root+"'", err)
		}
	}
	return max(exit, c.findAct(found, command, batch, remove, end))
}

func (c *call) findAct(found, command []string, batch, remove bool, end string) int {
	exit := 0
	if batch && len(found) > 0 {
		var args []string
		for _, word := range command {
			if word == "{}" {
				args = append(args, found...)
			} else {
				args = append(args, word)
			}
		}
		return c.g.exec(c.with(args))
	}
	if remove { // contents before their folder
		sort.Sort(sort.Reverse(sort.StringSlice(found)))
	}
	for _, p := range found {
		switch {
		case remove:
			if err := c.g.files.remove(c.abs(p)); err != nil {
				exit = c.fail("cannot delete '"+p+"'", err)
			}
		case command != nil && !batch:
			args := make([]string, len(command))
			for i, word := range command {
				args[i] = strings.ReplaceAll(word, "{}", p)
			}
			c.g.exec(c.with(args))
		case command == nil:
			fmt.Fprint(c.out, p+end)
		}
	}
	return exit
}

// wildcard matches as path.Match, but * takes slashes too.
func wildcard(pattern, text string) bool {
	match, _ := path.Match(strings.ReplaceAll(pattern, "/", "\x01"), strings.ReplaceAll(text, "/", "\x01"))
	return match
}
