package machine

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

func sumBuiltins() map[string]builtin {
	all := map[string]builtin{"base64": runBase64, "cmp": runCmp, "diff": runCmp}
	for name, algorithm := range map[string]func() hash.Hash{"md5sum": md5.New, "sha1sum": sha1.New, "sha256sum": sha256.New, "sha512sum": sha512.New} {
		all[name] = func(c *call) int { return runSum(c, algorithm) }
	}
	return all
}

func runSum(c *call, algorithm func() hash.Hash) int {
	o, ok := c.parse("cbt", "check", "quiet", "status", "binary", "text")
	if !ok {
		return 1
	}
	sum := func(name string) (string, error) {
		file, err := c.open(name, os.O_RDONLY, 0)
		if err != nil {
			return "", err
		}
		defer file.Close()
		digest := algorithm()
		_, err = io.Copy(digest, file)
		return hex.EncodeToString(digest.Sum(nil)), err
	}
	if !o.has("c", "check") {
		if len(o.rest) == 0 {
			digest := algorithm()
			_, _ = io.Copy(digest, c.in)
			fmt.Fprintf(c.out, "%x  -\n", digest.Sum(nil))
			return 0
		}
		exit := 0
		for _, name := range o.rest {
			digest, err := sum(name)
			if err != nil {
				exit = c.fail(name, err)
				continue
			}
			fmt.Fprintf(c.out, "%s  %s\n", digest, name)
		}
		return exit
	}
	bad := 0
	exit := c.lines(o.rest, func(_, line string) error {
		want, name, ok := strings.Cut(line, " ")
		if !ok {
			return nil
		}
		name = strings.TrimLeft(name, " *")
		got, err := sum(name)
		verdict := "OK"
		if err != nil || got != want {
			bad, verdict = 1, "FAILED"
		}
		if !o.has("quiet", "status") {
			fmt.Fprintf(c.out, "%s: %s\n", name, verdict)
		}
		return nil
	})
	return max(bad, exit)
}

func runBase64(c *call) int {
	o, ok := c.parse("dw:i", "decode", "wrap:")
	if !ok {
		return 1
	}
	return c.each(o.rest, func(r io.Reader) error {
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if o.has("d", "decode") {
			decoded, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(data), nil)))
			_, _ = c.out.Write(decoded)
			if err != nil {
				return errors.New("invalid input")
			}
			return nil
		}
		width := 76
		if o.has("w", "wrap") {
			if width, err = strconv.Atoi(o.get("w", "wrap")); err != nil {
				return err
			}
		}
		text := base64.StdEncoding.EncodeToString(data)
		for width > 0 && len(text) > width {
			fmt.Fprintln(c.out, text[:width])
			text = text[width:]
		}
		_, _ = io.WriteString(c.out, text)
		if width > 0 && text != "" {
			fmt.Fprintln(c.out)
		}
		return nil
	})
}

// runCmp says whether two files differ, not where: diff's output is for people.
func runCmp(c *call) int {
	o, ok := c.parse("squrN", "silent", "quiet", "brief")
	if !ok || len(o.rest) < 2 {
		return 2
	}
	var contents [2][]byte
	for i, name := range o.rest[:2] {
		if exit := c.each([]string{name}, func(r io.Reader) (err error) {
			contents[i], err = io.ReadAll(r)
			return err
		}); exit != 0 {
			return 2
		}
	}
	if bytes.Equal(contents[0], contents[1]) {
		return 0
	}
	if !o.has("s", "silent", "quiet") {
		fmt.Fprintf(c.out, "%s %s differ\n", o.rest[0], o.rest[1])
	}
	return 1
}

func identityBuiltins() map[string]builtin {
	return map[string]builtin{
		"id": runID, "whoami": runWhoami, "hostname": runHostname, "uname": runUname, "date": runDate, "arch": runUname, "nproc": runNproc,
		"groups": runGroups, "useradd": runUseradd, "adduser": runUseradd, "groupadd": runGroupadd, "addgroup": runGroupadd, "usermod": runUsermod,
		"userdel": runUserdel, "passwd": runTrue, "chage": runTrue, "getent": runGetent, "hostnamectl": runHostnamectl,
	}
}

func runID(c *call) int {
	o, ok := c.parse("ungGr", "user", "name", "group", "groups")
	if !ok {
		return 1
	}
	user := c.user
	if len(o.rest) > 0 {
		found, ok := lookup(c.g.files, o.rest[0])
		if !ok {
			c.errorf("'%s': no such user", o.rest[0])
			return 1
		}
		user = found
	}
	name, group := user.name, groupName(c.g.files, user.gid)
	named := o.has("n", "name")
	switch {
	case o.has("u", "user"):
		fmt.Fprintln(c.out, pick(named, name, strconv.Itoa(user.uid)))
	case o.has("g", "group", "G", "groups"):
		fmt.Fprintln(c.out, pick(named, group, strconv.Itoa(user.gid)))
	default:
		fmt.Fprintf(c.out, "uid=%d(%s) gid=%d(%s) groups=%d(%s)\n", user.uid, name, user.gid, group, user.gid, group)
	}
	return 0
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

func runWhoami(c *call) int { fmt.Fprintln(c.out, c.user.name); return 0 }
func runNproc(c *call) int  { fmt.Fprintln(c.out, 1); return 0 }

func runGroups(c *call) int {
	fmt.Fprintln(c.out, groupName(c.g.files, c.user.gid))
	return 0
}

func runHostname(c *call) int {
	o, ok := c.parse("sfidI", "short", "fqdn", "ip-address", "all-ip-addresses")
	if !ok {
		return 1
	}
	if len(o.rest) > 0 {
		if err := c.g.files.writeFile("/etc/hostname", []byte(o.rest[0]+"\n"), 0o644); err != nil {
			return c.fail("/etc/hostname", err)
		}
		return 0
	}
	if o.has("i", "I", "ip-address", "all-ip-addresses") {
		fmt.Fprintln(c.out, c.g.m.spec.Address)
		return 0
	}
	name := c.g.m.spec.Hostname
	if data, err := c.g.files.readFile("/etc/hostname"); err == nil {
		name = strings.TrimSpace(string(data))
	}
	if o.has("s", "short") {
		name, _, _ = strings.Cut(name, ".")
	}
	fmt.Fprintln(c.out, name)
	return 0
}

func runHostnamectl(c *call) int {
	if len(c.args) == 3 && strings.HasSuffix(c.args[1], "hostname") {
		return runHostname(c.with([]string{"hostname", c.args[2]}))
	}
	return runHostname(c.with([]string{"hostname"}))
}

func runUname(c *call) int {
	o, ok := c.parse("asnrvmpio", "all", "machine", "kernel-name", "kernel-release", "nodename", "operating-system")
	if !ok {
		return 1
	}
	machine := c.g.m.spec.Arch
	switch machine {
	case "arm64":
		machine = "aarch64"
	case "":
		machine = "x86_64"
	}
	var words []string
	for _, field := range []struct{ letter, long, value string }{
		{"s", "kernel-name", "Linux"}, {"n", "nodename", c.g.m.spec.Hostname}, {"r", "kernel-release", "6.1.0-goldline"},
		{"v", "kernel-version", "#1 SMP"}, {"m", "machine", machine}, {"o", "operating-system", "GNU/Linux"},
	} {
		if o.has("a", "all", field.letter, field.long) {
			words = append(words, field.value)
		}
	}
	if path.Base(c.args[0]) == "arch" || o.has("p", "i") {
		words = append(words, machine)
	}
	if words == nil {
		words = []string{"Linux"}
	}
	fmt.Fprintln(c.out, strings.Join(words, " "))
	return 0
}

// parseDate reads what scripts give to date -d and touch -d.
func parseDate(text string, now time.Time) (time.Time, error) {
	if text == "now" || text == "" {
		return now, nil
	}
	if epoch, ok := strings.CutPrefix(text, "@"); ok {
		number, err := strconv.ParseInt(epoch, 10, 64)
		return time.Unix(number, 0), err
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if parsed, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return parsed, nil
		}
	}
	return now, errors.New("invalid date")
}

func runDate(c *call) int {
	o, ok := c.parse("uRd:I", "utc", "date:", "iso-8601", "rfc-3339:", "reference:")
	if !ok {
		return 1
	}
	now := time.Now()
	if o.has("u", "utc") {
		now = now.UTC()
	}
	at, err := parseDate(o.get("d", "date"), now)
	if err != nil {
		c.errorf("invalid date '%s'", o.get("d", "date"))
		return 1
	}
	if o.has("u", "utc") {
		at = at.UTC()
	}
	switch {
	case len(o.rest) > 0 && strings.HasPrefix(o.rest[0], "+"):
		fmt.Fprintln(c.out, strftime(o.rest[0][1:], at))
	case o.has("I", "iso-8601"):
		fmt.Fprintln(c.out, at.Format("2006-01-02"))
	case o.has("R"):
		fmt.Fprintln(c.out, at.Format(time.RFC1123Z))
	default:
		fmt.Fprintln(c.out, at.Format(time.UnixDate))
	}
	return 0
}

func strftime(format string, at time.Time) string {
	layouts := map[byte]string{'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'F': "2006-01-02", 'T': "15:04:05", 'y': "06",
		'b': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday", 'Z': "MST", 'z': "-0700", 'N': "000000000", 'e': "_2", 'j': "002", 'R': "15:04", 'I': "03", 'p': "PM", 'c': time.ANSIC, 'D': "01/02/06"}
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out.WriteByte(format[i])
			continue
		}
		i++
		switch letter := format[i]; {
		case letter == 's':
			out.WriteString(strconv.FormatInt(at.Unix(), 10))
		case letter == 'N':
			fmt.Fprintf(&out, "%09d", at.Nanosecond())
		case letter == '3' && i+1 < len(format) && format[i+1] == 'N':
			i++
			fmt.Fprintf(&out, "%03d", at.Nanosecond()/1e6)
		case layouts[letter] != "":
			out.WriteString(at.Format(layouts[letter]))
		case letter == 'n':
			out.WriteByte('\n')
		default:
			out.WriteByte(letter)
		}
	}
	return out.String()
}

// asRoot refuses what only root may do.
func (c *call) asRoot() bool {
	if c.user.uid != 0 {
		c.errorf("Permission denied.")
	}
	return c.user.uid == 0
}

func runUseradd(c *call) int {
	o, ok := c.parse("rmMUNd:s:u:g:G:c:op:D", "system", "create-home", "no-create-home", "home-dir:", "home:", "shell:", "uid:", "gid:", "groups:", "comment:", "gecos:",
		"disabled-password", "disabled-login", "group", "ingroup:", "quiet", "user-group", "no-user-group", "password:", "allow-bad-names")
	if !ok || len(o.rest) == 0 {
		return 2
	}
	if !c.asRoot() {
		return 1
	}
	friendly := path.Base(c.args[0]) == "adduser"
	if friendly && len(o.rest) == 2 {
		return c.exitOf(joinGroup(c.g.files, o.rest[0], o.rest[1]), 1)
	}
	want := newAccount{name: o.rest[0], uid: -1, group: o.get("g", "gid", "ingroup"), home: o.get("d", "home-dir", "home"), shell: o.get("s", "shell"),
		system: o.has("r", "system"), mkhome: !o.has("M", "no-create-home") && (o.has("m", "create-home") || friendly && !o.has("system"))}
	if text := o.get("u", "uid"); text != "" {
		uid, err := strconv.Atoi(text)
		if err != nil {
			c.errorf("invalid user ID '%s'", text)
			return 3
		}
		want.uid = uid
	}
	_, err := addAccount(c.g.files, want)
	if errors.Is(err, errTaken) {
		c.errorf("user '%s' already exists", want.name)
		return 9
	}
	if err != nil {
		c.errorf("%v", err)
		return 6
	}
	return c.join(want.name, o.get("G", "groups"))
}

func (c *call) join(user, list string) int {
	if list == "" {
		return 0
	}
	for group := range strings.SplitSeq(list, ",") {
		if err := joinGroup(c.g.files, user, group); err != nil {
			return c.exitOf(err, 6)
		}
	}
	return 0
}

func (c *call) exitOf(err error, exit int) int {
	if err == nil {
		return 0
	}
	c.errorf("%v", err)
	return exit
}

func runGroupadd(c *call) int {
	o, ok := c.parse("rfg:o", "system", "force", "gid:", "quiet")
	if !ok || len(o.rest) == 0 {
		return 2
	}
	if !c.asRoot() {
		return 1
	}
	gid := -1
	if text := o.get("g", "gid"); text != "" {
		var err error
		if gid, err = strconv.Atoi(text); err != nil {
			c.errorf("invalid group ID '%s'", text)
			return 3
		}
	}
	_, err := addGroup(c.g.files, o.rest[0], gid, o.has("r", "system"))
	if errors.Is(err, errTaken) {
		if o.has("f", "force") {
			return 0
		}
		c.errorf("group '%s' already exists", o.rest[0])
		return 9
	}
	return c.exitOf(err, 1)
}

func runUsermod(c *call) int {
	o, ok := c.parse("aG:s:d:mLUg:c:l:", "append", "groups:", "shell:", "home:", "lock", "unlock", "gid:")
	if !ok || len(o.rest) == 0 {
		return 2
	}
	if !c.asRoot() {
		return 1
	}
	user, found := lookup(c.g.files, o.rest[0])
	if !found {
		c.errorf("user '%s' does not exist", o.rest[0])
		return 6
	}
	shell, home := o.get("s", "shell"), o.get("d", "home")
	err := editLines(c.g.files, "/etc/passwd", func(field []string) []string {
		if field[0] == user.name && len(field) == 7 {
			field[6] = pick(shell != "", shell, field[6])
			field[5] = pick(home != "", home, field[5])
		}
		return field
	})
	if err != nil {
		return c.exitOf(err, 1)
	}
	return c.join(user.name, o.get("G", "groups"))
}

func runUserdel(c *call) int {
	o, ok := c.parse("rf", "remove", "force", "remove-home", "quiet")
	if !ok || len(o.rest) == 0 {
		return 2
	}
	if !c.asRoot() {
		return 1
	}
	user, found := lookup(c.g.files, o.rest[0])
	if !found {
		c.errorf("user '%s' does not exist", o.rest[0])
		return 6
	}
	for _, file := range []string{"/etc/passwd", "/etc/shadow", "/etc/group"} {
		err := editLines(c.g.files, file, func(field []string) []string {
			if field[0] == user.name {
				return nil
			}
			return field
		})
		if err != nil {
			return c.exitOf(err, 1)
		}
	}
	if o.has("r", "remove", "remove-home") {
		return c.exitOf(c.g.files.removeAll(user.home), 12)
	}
	return 0
}

// editLines rewrites a file of colon-separated lines.
func editLines(t *tree, p string, edit func(field []string) []string) error {
	data, err := t.readFile(p)
	if err != nil {
		return err
	}
	info, err := t.stat(p)
	if err != nil {
		return err
	}
	var out strings.Builder
	for line := range strings.Lines(string(data)) {
		if field := edit(strings.Split(strings.TrimSuffix(line, "\n"), ":")); field != nil {
			out.WriteString(strings.Join(field, ":") + "\n")
		}
	}
	return t.writeFile(p, []byte(out.String()), info.Mode())
}

func runGetent(c *call) int {
	if len(c.args) < 2 {
		return 1
	}
	file := map[string]string{"passwd": "/etc/passwd", "group": "/etc/group", "hosts": "/etc/hosts"}[c.args[1]]
	if file == "" {
		return 1
	}
	found := 2
	_ = c.lines([]string{file}, func(_, line string) error {
		field := strings.Split(line, ":")
		if len(c.args) == 2 || slices.Contains(c.args[2:], field[0]) || len(field) > 2 && slices.Contains(c.args[2:], field[2]) ||
			c.args[1] == "hosts" && slices.Contains(strings.Fields(line), c.args[len(c.args)-1]) {
			found = 0
			fmt.Fprintln(c.out, line)
		}
		return nil
	})
	return found
}

func netBuiltins() map[string]builtin { return map[string]builtin{"curl": runCurl} }

// runCurl reaches the machine's own metadata service and address, nothing else:
// an in-process machine has no network of its own.
func runCurl(c *call) int {
	o, ok := c.parse("sSfLX:H:o:d:IivkOw:m:A:G", "silent", "show-error", "fail", "location", "request:", "header:", "output:", "data:", "head", "include",
		"retry:", "retry-delay:", "max-time:", "connect-timeout:", "noproxy:", "write-out:", "insecure", "retry-connrefused", "retry-all-errors", "fail-with-body")
	if !ok {
		return 2
	}
	if len(o.rest) != 1 {
		c.errorf("(2) exactly one URL is taken")
		return 2
	}
	target := o.rest[0]
	if !strings.Contains(target, "://") {
		target = "http://" + target
	}
	address, err := url.Parse(target)
	if err != nil {
		c.errorf("(3) URL malformed")
		return 3
	}
	if address.Host == "169.254.169.254" { // the metadata service's address on EC2
		if own, err := url.Parse(c.g.m.imds.url()); err == nil {
			address.Host = own.Host
		}
	}
	if !c.ownAddress(address.Hostname()) {
		c.errorf("(6) Could not resolve host: %s (an in-process machine reaches only itself)", address.Hostname())
		return 6
	}
	method := pick(o.has("I", "head"), http.MethodHead, http.MethodGet)
	var body io.Reader
	if data := append(o.set["d"], o.set["data"]...); len(data) > 0 {
		method, body = http.MethodPost, strings.NewReader(strings.Join(data, "&"))
	}
	if given := o.get("X", "request"); given != "" {
		method = given
	}
	request, err := http.NewRequestWithContext(c.ctx, method, address.String(), body)
	if err != nil {
		c.errorf("(3) %v", err)
		return 3
	}
	for _, header := range append(o.set["H"], o.set["header"]...) {
		name, value, _ := strings.Cut(header, ":")
		request.Header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return c.transfer(o, request)
}

func (c *call) ownAddress(host string) bool {
	own, err := url.Parse(c.g.m.imds.url())
	return host == "localhost" || host == c.g.m.spec.Address.String() || err == nil && host == own.Hostname()
}

func (c *call) transfer(o options, request *http.Request) int {
	client := &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{ // no proxy, and no other host by way of a redirect
			DisableKeepAlives: true,
			DialContext:       (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(next *http.Request, _ []*http.Request) error {
			if !o.has("L", "location") || !c.ownAddress(next.URL.Hostname()) {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	if limit, err := seconds(o.get("m", "max-time")); err == nil {
		client.Timeout = limit
	}
	response, err := client.Do(request)
	if err != nil {
		if !o.has("s", "silent") || o.has("S", "show-error") {
			c.errorf("(7) Failed to connect to %s", request.URL.Host)
		}
		return 7
	}
	defer response.Body.Close()
	if o.has("f", "fail") && response.StatusCode >= 400 {
		if !o.has("s", "silent") || o.has("S", "show-error") {
			c.errorf("(22) The requested URL returned error: %d", response.StatusCode)
		}
		return 22
	}
	out := c.out
	name := o.get("o", "output")
	if o.has("O") {
		name = path.Base(request.URL.Path)
	}
	if name != "" && name != "-" {
		file, err := c.open(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
		if err != nil {
			c.fail(name, err)
			return 23
		}
		defer file.Close()
		out = file
	}
	if o.has("i", "I", "include", "head") {
		fmt.Fprintf(out, "%s %s\n", response.Proto, response.Status)
		_ = response.Header.Write(out)
		fmt.Fprintln(out)
	}
	if _, err := io.Copy(out, response.Body); err != nil {
		return 56
	}
	if format := o.get("w", "write-out"); format != "" {
		fmt.Fprint(c.out, strings.NewReplacer("%{http_code}", strconv.Itoa(response.StatusCode), "%{response_code}", strconv.Itoa(response.StatusCode), `\n`, "\n").Replace(format))
	}
	return 0
}
