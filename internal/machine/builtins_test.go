package machine

import (
	"strings"
	"testing"
)

// TestBuiltins runs scripts of plain sh on the kind that brings its own
// commands; what they print is what Debian's print.
func TestBuiltins(t *testing.T) {
	r := newRig(t, InProcess)
	r.sh(`mkdir -p /tmp/t/a/b && cd /tmp/t && printf 'one\ntwo\nthree\n' > lines && printf 'k1=v1\nk2=v2\n' > conf && touch a/x.conf a/b/y.conf`)
	for _, c := range []struct{ script, want string }{
		{`sed -n 2p lines`, "two"},
		{`sed '/two/d; s/o\(.*\)/<\1>/' lines`, "<ne>\nthree"},
		{`sed -E 's/^(k1)=.*/\1=new/' conf`, "k1=new\nk2=v2"},
		{`cp conf c2; sed -i.bak 's|v1|/etc/x|g' c2; cat c2 c2.bak | sort -u`, "k1=/etc/x\nk1=v1\nk2=v2"},
		{`sed '2,$s/$/!/' lines`, "one\ntwo!\nthree!"},
		{`sed '$a last' lines | tail -n 1`, "last"},
		{`grep -c e lines; grep -qx two lines && echo yes; grep -q four lines || echo no`, "2\nyes\nno"},
		{`grep -Ev '^(one|two)$' lines`, "three"},
		{`grep -rl k2 . | sort | head -1`, "./c2"},
		{`head -1 lines; tail -n +3 lines; wc -l < lines`, "one\nthree\n3"},
		{`cut -d= -f2 conf | tr a-z A-Z | paste 2>/dev/null || cut -d= -f2 conf | tr a-z A-Z`, "V1\nV2"},
		{`sort -r lines | uniq | tr '\n' ' '`, "two three one"},
		{`find . -name '*.conf' -type f | sort`, "./a/b/y.conf\n./a/x.conf"},
		{`find a -type d | xargs -n1 basename | sort`, "a\nb"},
		{`chmod 600 conf; stat -c '%a %s %F' conf; chmod u+x,g=r conf; stat -c %a conf`, "600 12 regular file\n740"},
		{`ln -s lines link; readlink link; readlink -f link; rm link; test -e lines && echo kept`, "lines\n/tmp/t/lines\nkept"},
		{`install -d -m 700 d && install -m 755 lines d/prog && stat -c %a d d/prog`, "700\n755"},
		{`cp -r a a2 && mv a2 a3 && find a3 -type f | wc -l && rm -rf a3 && ls -d a3 2>/dev/null || echo gone`, "2\ngone"},
		{`echo data | sudo tee /etc/made >/dev/null; cat /etc/made`, "data"},
		{`seq 3 | tr '\n' ,; seq -s- 2 4`, "1,2,3,2-3-4"},
		{`basename /x/y.sh .sh; dirname /x/y.sh`, "y\n/x"},
		{`printf abc | sha256sum; printf abc | md5sum | cut -c1-8; printf abc | base64; echo YWJj | base64 -d`,
			"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -\n90015098\nYWJj\nabc"},
		{`env -i A=1 env`, "A=1"},
		{`sudo useradd -m -s /bin/bash app && id -u app && sudo usermod -aG sudo app && getent group sudo && sudo -u app whoami && ls /home`, "1001\nsudo:x:27:app\napp\nadmin\napp"},
		{`sudo systemctl enable --now nginx; systemctl is-enabled nginx; systemctl is-active other || echo $?`, "enabled\ninactive\n3"},
		{`f=$(mktemp); d=$(mktemp -d); test -f $f && test -d $d && echo both`, "both"},
		{`command -v curl; command -v nothing || echo none; which sh`, "/usr/bin/curl\nnone\n/usr/bin/sh"},
		{`cat > s.sh <<'E'
#!/bin/sh
echo "$0 $# $2"; exit 3
E
chmod +x s.sh; ./s.sh a 'b c'; echo $?; sh -c 'echo $1' x y; bash -euo pipefail -c 'false | true' || echo failed`, "/tmp/t/s.sh 2 b c\n3\ny\nfailed"},
		{`sh -c 'trap "echo bye" EXIT; trap : INT TERM; echo hi'`, "hi\nbye"},
		{`x=$(echo in $(echo in)); echo "$x" > /dev/stderr; echo ok > /dev/null; [ -c /dev/null ] && echo device`, "device"},
		{`(echo bg > /tmp/t/bg) & wait; cat /tmp/t/bg; sleep 0.01; timeout 0.05 sleep 5; echo $?`, "bg\n124"},
		{`cat <(echo from a pipe)`, "from a pipe"},
		{`date -u -d @0 +%Y-%m-%dT%H:%M:%SZ; uname -sm; nohup echo run 2>/dev/null`, "1970-01-01T00:00:00Z\nLinux x86_64\nrun"},
		{`apt-get install -y nginx 2>/dev/null; echo $?; nosuch 2>/dev/null; echo $?`, "100\n127"},
		{`. ./conf; echo $k1; set -- a b; echo $#; case x in x|y) echo case;; esac; for i in *.sh; do echo $i; done`, "v1\n2\ncase\ns.sh"},
		{`umask 077; touch private; stat -c %a private; umask 022`, "600"},
	} {
		if stdout, stderr, _ := r.try("cd /tmp/t; " + c.script); strings.TrimSpace(stdout) != c.want {
			t.Errorf("%s:\n%s%s\nwant:\n%s", c.script, stdout, stderr, c.want)
		}
	}
}

// TestRunawayScripts: what a script does to itself must not end this process.
func TestRunawayScripts(t *testing.T) {
	r := newRig(t, InProcess)
	r.sh(`printf '#!/bin/sh\n/tmp/again\n' > /tmp/again; chmod +x /tmp/again`)
	if _, stderr, exit := r.try("/tmp/again"); exit == 0 {
		t.Errorf("a script that runs itself for ever ended well: %s", stderr)
	}
	for _, script := range []string{"while", "echo ${", "f() { f; }; f", "sed s/x", "grep '['", "head -n x /etc/passwd", "[ -O /etc/passwd ] || true", "cat /dev/urandom | head -c 10 >/dev/null", "yes | head -1 >/dev/null"} {
		r.try(script)
	}
	r.says("echo alive", "alive")
}
