package machine

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"strings"
	"testing"
)

const multipartData = `Content-Type: multipart/mixed; boundary="==B=="
MIME-Version: 1.0

--==B==
Content-Type: text/x-shellscript; charset="us-ascii"
MIME-Version: 1.0
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="20-second.sh"

IyEvYmluL3NoCmVjaG8gc2Vjb25kID4+IC92YXIvcmFuCg==
--==B==
Content-Type: text/plain

#!/bin/sh
echo third >> /var/ran
--==B==
Content-Type: text/cloud-config

#cloud-config
write_files: [{path: /etc/part, content: first}]
runcmd: [echo last >> /var/ran]
--==B==
Content-Type: text/x-shellscript-per-boot
Content-Disposition: attachment; filename="each"

#!/bin/sh
echo boot >> /var/ran
--==B==
Content-Type: text/cloud-boothook

#!/bin/sh
echo hook >> /var/ran
--==B==
Content-Type: text/cloud-config

write_files: [{path: /etc/part, content: later}]
--==B==--
`

func TestMultipartUserData(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := newRig(t, kind, func(s *Spec) { s.UserData = []byte(multipartData) })
		if err := r.machine.BootFailed(); err != nil {
			t.Fatalf("%v\n%s", err, r.console)
		}
		r.says("cat /etc/part; echo; cat /var/ran", "later\nhook\nboot\nsecond\nthird\nlast")
		r.stop()
		r.start()
		r.says("cat /var/ran", "hook\nboot\nsecond\nthird\nlast\nhook\nboot")
	})
}

func TestParseUserData(t *testing.T) {
	packed := func(text string) string {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		_, _ = w.Write([]byte(text))
		_ = w.Close()
		return out.String()
	}
	message := func(header, body string) string {
		return "MIME-Version: 1.0\n" + header + "\n\n" + body
	}
	config := "#cloud-config\nhostname: web\n"
	for name, c := range map[string]struct {
		data     string
		scripts  string // names
		hostname string
		failure  string // part of it
	}{
		"nothing":           {},
		"document":          {data: `{"version": 1}`},
		"script":            {data: "#!/bin/sh\n", scripts: "part-001"},
		"packed script":     {data: packed("#!/bin/sh\n"), scripts: "part-001"},
		"boot hook":         {data: "#cloud-boothook\n#!/bin/sh\n", scripts: "part-001"},
		"config":            {data: config, hostname: "web"},
		"not YAML":          {data: "#cloud-config\na: [", failure: "not YAML"},
		"wrong kind":        {data: "#cloud-config\nhostname: web\nruncmd: 7\n", hostname: "web", failure: "wrong kind"},
		"include":           {data: "#include\nhttps://example.com/x\n", failure: "x-include-url is not carried out"},
		"template":          {data: "## template: jinja\n#cloud-config\n", failure: "jinja2 is not carried out"},
		"message of one":    {data: message("Content-Type: text/cloud-config", config), hostname: "web"},
		"packed message":    {data: packed(message("Content-Type: text/cloud-config", config)), hostname: "web"},
		"packed part":       {data: message("Content-Type: application/gzip\nContent-Transfer-Encoding: base64", base64.StdEncoding.EncodeToString([]byte(packed(config)))), hostname: "web"},
		"quoted printable":  {data: message("Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable", "#cloud-config\nhostname: =\nweb\n"), hostname: "web"},
		"unknown encoding":  {data: message("Content-Type: text/plain\nContent-Transfer-Encoding: rot13", config), failure: "rot13"},
		"nested":            {data: message(`Content-Type: multipart/mixed; boundary="A"`, "--A\nContent-Type: multipart/mixed; boundary=\"B\"\n\n--B\n\n#!/bin/sh\n--B--\n--A\nContent-Type: text/cloud-config\n\n"+config+"--A--\n"), scripts: "part-001", hostname: "web"},
		"CRLF":              {data: strings.ReplaceAll(message(`Content-Type: multipart/mixed; boundary="A"`, "--A\nContent-Type: text/cloud-config\n\n"+config+"--A--\n"), "\n", "\r\n"), hostname: "web"},
		"without its end":   {data: message(`Content-Type: multipart/mixed; boundary="A"`, "--A\nContent-Type: text/cloud-config\n\n"+config), failure: "does not end at its boundary"},
		"one part is wrong": {data: message(`Content-Type: multipart/mixed; boundary="A"`, "--A\nContent-Type: text/cloud-config\n\n{\n--A\n\n"+config+"--A--\n"), hostname: "web", failure: "not YAML"},
		"a path for a name": {data: message("Content-Type: text/x-shellscript\nContent-Disposition: attachment; filename=\"../x\"", "#!/bin/sh\n"), scripts: "part-001"},
		"merged":            {data: message(`Content-Type: multipart/mixed; boundary="A"`, "--A\n\n#cloud-config\nhostname: old\n--A\n\n"+config+"--A--\n"), hostname: "web"},
	} {
		t.Run(name, func(t *testing.T) {
			parsed, err := parseUserData([]byte(c.data))
			if c.failure == "" && err != nil || c.failure != "" && (err == nil || !strings.Contains(err.Error(), c.failure)) {
				t.Errorf("failure %v, want %q", err, c.failure)
			}
			var names []string
			for _, s := range parsed.scripts {
				names = append(names, s.name)
			}
			if got := strings.Join(names, " "); got != c.scripts || parsed.config.Hostname != c.hostname {
				t.Errorf("scripts %q, hostname %q", got, parsed.config.Hostname)
			}
		})
	}
}

func TestCloudInitCommand(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := newRig(t, kind, func(s *Spec) { s.UserData = []byte("#!/bin/sh\nsleep 0.3\n") })
		r.says("cloud-init status --wait | tail -n 1; test -s /run/cloud-init/result.json && echo there", "status: done\nthere")
		r.says("sudo cloud-init clean --logs --machine-id; ls /var/lib/cloud; cat /etc/machine-id", "uninitialized")
		failed := newRig(t, kind, func(s *Spec) { s.ID, s.UserData = "i-1", []byte("#!/bin/sh\nexit 3\n") })
		failed.says("cloud-init status --wait --long | grep -v '^\\.*$'; cloud-init status >/dev/null || echo $?", "status: error\ndetail:\nDataSourceEc2Local\n1")
	})
}
