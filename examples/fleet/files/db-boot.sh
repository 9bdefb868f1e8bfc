#!/bin/sh
# Mounts the database's volume, which outlives the instance, and takes down one
# more order at every boot.
set -eu
. /usr/local/lib/fleet/fleet.sh

# EC2 attaches the volume after the instance has started; newer instance types
# show it as an NVMe device.
device=
tries=0
while [ -z "$device" ]; do
  for name in /dev/xvdf /dev/sdf /dev/nvme1n1; do
    if [ -z "$device" ] && [ -e "$name" ]; then
      device=$name
    fi
  done
  tries=$((tries + 1))
  if [ -z "$device" ]; then
    if [ "$tries" -gt 600 ]; then
      echo "fleet: db has no data volume"
      exit 1
    fi
    sleep 0.1
  fi
done

if ! blkid "$device" > /dev/null; then
  mkfs.ext4 -q "$device"
fi
mkdir -p /srv/fleet
mount "$device" /srv/fleet
echo "order taken by version $(userdata version)" >> /srv/fleet/orders
ready db
echo "fleet: db orders=$(wc -l < /srv/fleet/orders | tr -d ' ')"
