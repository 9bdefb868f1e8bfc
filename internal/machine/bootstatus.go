package machine

import (
	"encoding/json"
	"path"
)

// Where cloud-init tells how far it is; `cloud-init status` and provisioning
// scripts that wait for the boot read it.
const (
	runDir     = "/run/cloud-init"
	resultFile = runDir + "/result.json"
	statusFile = runDir + "/status.json"
)

type bootResult struct {
	V1 struct {
		Datasource string   `json:"datasource"`
		Errors     []string `json:"errors"`
		Stage      *string  `json:"stage,omitempty"`
	} `json:"v1"`
}

// begun says that a boot is under way, whatever an earlier one has left.
func (b *boot) begun() error {
	t := b.m.guest.tree()
	if err := t.mkdirAll(runDir, 0o755); err != nil {
		return err
	}
	for _, file := range []string{resultFile, statusFile} {
		if _, err := t.stat(file); err == nil {
			if err := t.remove(file); err != nil {
				return err
			}
		}
	}
	return nil
}

// ended says that the boot is over, and how: the result last, for it is what
// others wait for.
func (b *boot) ended() error {
	var r bootResult
	r.V1.Datasource, r.V1.Errors = "DataSourceEc2Local", []string{}
	for _, err := range b.failed {
		r.V1.Errors = append(r.V1.Errors, err.Error())
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	t := b.m.guest.tree()
	for _, file := range []string{statusFile, path.Join(cloudDir, "data", "status.json"), path.Join(cloudDir, "data", "result.json"), resultFile} {
		if err := t.mkdirAll(path.Dir(file), 0o755); err != nil {
			return err
		}
		if err := t.writeFile(file, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// cloudInitCommand is cloud-init as provisioning scripts use it: to wait for
// the boot, and to leave no trace of it in an image. The rest is the image's
// own program's, where it has one.
const cloudInitCommand = `#!/bin/sh
verb=$1 result=` + resultFile + `
wait= long= json= logs= id=
for arg; do
	case $arg in
	--wait|-w) wait=1 ;;
	--long) long=1 ;;
	--logs) logs=1 ;;
	--machine-id) id=1 ;;
	json|--format=json) json=1 ;;
	-l) long=1 logs=1 ;;
	esac
done
case $verb in
status)
	while [ -n "$wait" ] && [ ! -e "$result" ]; do printf .; sleep 0.1; done
	state=done code=0
	if [ ! -e "$result" ]; then state=running
	elif ! grep -q '"errors":\[\]' "$result"; then state=error code=1
	fi
	if [ -n "$json" ]; then
		printf '{"datasource": "ec2", "status": "%s"}\n' "$state"
	else
		[ -z "$wait" ] || echo
		echo "status: $state"
		[ -z "$long" ] || printf 'detail:\nDataSourceEc2Local\n'
	fi
	exit "$code" ;;
clean)
	[ "$(id -u)" = 0 ] || { echo "cloud-init: must be superuser to do this" >&2; exit 1; }
	for entry in ` + cloudDir + `/*; do
		[ "${entry##*/}" = seed ] || rm -rf "$entry"
	done
	[ -z "$logs" ] || rm -f /var/log/cloud-init.log /var/log/cloud-init-output.log
	[ -z "$id" ] || echo uninitialized >/etc/machine-id
	exit 0 ;;
esac
for real in /usr/bin/cloud-init /usr/local/bin/cloud-init; do
	[ ! -x "$real" ] || exec "$real" "$@"
done
echo "cloud-init: $verb is not available on an emulated machine" >&2
exit 1
`
