# Boots the installed cloud-init in a root of its own: an overlay over this
# machine's, without its devices, network or host name, none of which cloud-init
# is given to configure.
# usage: unshare --mount --uts --net --pid --ipc --fork sh boot.sh SCRATCH RESULT [HANDLER]
# SCRATCH holds the seed's user-data; RESULT receives what came of it.
set -eu
seed=$1 result=$2 handler=${3:-}
mount --make-rprivate /
mkdir "$seed/disk"
mount -t tmpfs tmpfs "$seed/disk"
mkdir "$seed/disk/upper" "$seed/disk/work" "$seed/disk/root"
root=$seed/disk/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$seed/disk/upper,workdir=$seed/disk/work" "$root"
mkdir -p "$root/var/lib/cloud" "$root/etc/cloud"
for dir in run tmp dev var/lib/cloud etc/cloud; do
  mount -t tmpfs tmpfs "$root/$dir"
done
mount -t proc proc "$root/proc"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/urandom" c 1 9

cat > "$root/etc/cloud/cloud.cfg" <<'CFG'
datasource_list: [NoCloud]
datasource: {NoCloud: {fs_label: null}}
preserve_hostname: true
network: {config: disabled}
users: []
cloud_init_modules: []
cloud_config_modules: []
cloud_final_modules: [scripts-per-boot, final-message]
system_info: {distro: debian, paths: {cloud_dir: /var/lib/cloud}}
CFG

cloud=$root/var/lib/cloud
mkdir -p "$cloud/seed/nocloud" "$cloud/scripts/per-boot" "$cloud/handlers"
cp "$seed/user-data" "$cloud/seed/nocloud/user-data"
echo "instance-id: i-0123456789abcdef0" > "$cloud/seed/nocloud/meta-data"
if [ -n "$handler" ]; then
  cp "$handler" "$cloud/handlers/goldline.py"
fi
cat > "$cloud/scripts/per-boot/50-test" <<'SCRIPT'
#!/bin/sh
sed -n 's/^ *"version": *"\(.*\)",*$/\1/p' /var/lib/cloud/instance/user-data.txt > /var/lib/cloud/seen
SCRIPT
chmod 0755 "$cloud/scripts/per-boot/50-test"

: > "$result/log"
for stage in "init --local" init "modules --mode=config" "modules --mode=final"; do
  chroot "$root" cloud-init $stage >> "$result/log" 2>&1
done
chroot "$root" cloud-init status > "$result/status" || true
chroot "$root" cat /run/cloud-init/result.json > "$result/result.json"
chroot "$root" cat /var/lib/cloud/instance/user-data.txt > "$result/user-data"
chroot "$root" cat /var/lib/cloud/seen > "$result/seen"
