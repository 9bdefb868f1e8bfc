package bake

import (
	"context"
	"fmt"
	"strings"

	"github.com/goldline-dev/goldline/internal/event"
)

// sealStep asks the builder's package manager for what is installed, now that
// everything is, and meanwhile takes out of the builder's file system what was put in to bake: the
// host key, the authorised key, cloud-init's record of this instance (which
// holds the user data, and the host key in it), scripts that could not be
// removed, and the shells' histories. Both are best effort: an image without a
// package manager has no list, a builder without root or sudo gives a warning.
type sealStep struct{}

func (sealStep) name() string                      { return "seal" }
func (sealStep) undo(context.Context, *bake) error { return nil }

func (sealStep) run(ctx context.Context, b *bake) error {
	if windows(b.image) {
		return nil // what an SSH session leaves is not there, and neither is a package manager that all have
	}
	if b.closed && len(b.unremoved) == 0 {
		return nil // in the session of the last provisioner
	}
	c := b.newClosing()
	if c.script == "" {
		return nil
	}
	code, err := b.remote.run(ctx, c.script, c.hear)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	b.close(c, code, err)
	return nil
}

// closing is what is done at the end of the provisioning, in one session and at
// the same time: the list of packages, which comes first, and the seal.
type closing struct {
	script       string // empty where there is nothing to do
	seals        bool
	listed, said []string
	sealing      bool // what is heard now comes from the seal
	sealed       bool // all of it worked
}

// Lines that the closing prints: before what the seal says, and when all of the
// seal worked.
const (
	sealingMark = "goldline: seal"
	sealedMark  = "goldline: sealed"
)

func (b *bake) newClosing() *closing {
	seal := sealScript(b.host, b.keyLine, b.olderKeys(), b.unremoved)
	c := &closing{seals: seal != ""}
	if !b.image.SkipCreateAMI {
		c.script = "(\n" + packagesScript + ") &\n"
	}
	switch {
	case c.seals:
		c.script += "said=$(" + asRoot(seal) + "\n)\ncode=$?\nwait\nprintf '%s\\n' '" + sealingMark + "' \"$said\"\nexit $code"
	case c.script != "":
		c.script += "wait"
	}
	return c
}

// hear takes a line that the closing prints.
func (c *closing) hear(line string) {
	switch {
	case line == sealingMark:
		c.sealing = true
	case line == sealedMark:
		c.sealed = true
	case c.sealing:
		c.said = append(c.said, line)
	default:
		c.listed = append(c.listed, line)
	}
}

// close takes what the closing said, and tells what did not work.
func (b *bake) close(c *closing, code int, err error) {
	b.closed = true
	b.packages = readPackages(c.listed)
	switch {
	case err != nil:
		b.say(event.Warning, "what was put into the builder to bake could not be taken out: %v", err)
	case c.seals && (code != 0 || !c.sealed):
		b.say(event.Warning, "not all that was put into the builder to bake could be taken out (exit status %d): %s", code, strings.Join(c.said, "; "))
	}
}

// asRoot runs a script as root where that is possible without a password.
func asRoot(script string) string {
	quoted := quote(script)
	return `if [ "$(id -u)" = 0 ]; then sh -c ` + quoted +
		`; elif command -v sudo >/dev/null 2>&1 && sudo -n true >/dev/null 2>&1; then sudo -n sh -c ` + quoted +
		`; else echo "neither root nor sudo"; sh -c ` + quoted + `; fi`
}

// sealScript is plain POSIX shell. Only where the builder proved itself by this
// bake's host key is it certain that nobody else's machine answers: without
// that, no more than this bake's own key and scripts is touched.
func sealScript(host hostKey, keyLine string, olderKeys, scripts []string) string {
	var body strings.Builder
	for _, part := range olderKeys {
		fmt.Fprintf(&body, sealAuthorized, part)
	}
	if blob := keyBlob(keyLine); blob != "" {
		fmt.Fprintf(&body, sealAuthorized, blob)
	}
	for _, s := range scripts {
		fmt.Fprintf(&body, "rm -f %s || failed=1\n", quote(s))
	}
	if host.given() {
		fmt.Fprintf(&body, sealOwnBuilder, keyBlob(host.line))
	}
	if body.Len() == 0 {
		return ""
	}
	return "failed=0\n" + body.String() + "if [ $failed = 0 ]; then echo \"" + sealedMark + "\"; else exit 1; fi\n"
}

// keyBlob is the part of a public key's line that no other key has.
func keyBlob(line string) string {
	if fields := strings.Fields(line); len(fields) > 1 {
		return fields[1]
	}
	return ""
}

// sealAuthorized removes a key from whoever may log in with it. cloud-init gives
// it to root as well, with a notice.
const sealAuthorized = `for file in /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys "$HOME/.ssh/authorized_keys"; do
  if [ -f "$file" ] && grep -q -F '%[1]s' "$file"; then
    rest=$(grep -v -F '%[1]s' "$file")
    if [ -n "$rest" ]; then printf '%%s\n' "$rest" > "$file" || failed=1; else rm -f "$file" || failed=1; fi
  fi
done
`

// sealOwnBuilder removes what only this builder's own boot and bake can have
// left. Scripts that an image brings for cloud-init, under scripts/, stay.
const sealOwnBuilder = `for file in /etc/ssh/ssh_host_*_key.pub; do
  if [ -f "$file" ] && grep -q -F '%[1]s' "$file"; then rm -f "$file" "${file%%.pub}" || failed=1; fi
done
rm -rf /var/lib/cloud/instance /var/lib/cloud/instances /var/lib/cloud/data /var/lib/cloud/sem || failed=1
for home in /root /home/* "$HOME"; do
  rm -f "$home/.bash_history" "$home/.ash_history" "$home/.sh_history" "$home/.zsh_history" || failed=1
done
`
