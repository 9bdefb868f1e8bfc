set -e
cat /etc/motd.goldline /tmp/files/sub/one
echo "role $ROLE of $(id -un)" >/etc/role
