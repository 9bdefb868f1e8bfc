#!/bin/sh
# Installs one service: its per-boot script, and what was decided when the image
# was built.
set -eu
mkdir -p /var/lib/cloud/scripts/per-boot /etc/fleet
install -m 0755 /tmp/boot.sh "/var/lib/cloud/scripts/per-boot/50-fleet-$SERVICE"
rm -f /tmp/boot.sh
if [ "$SERVICE" = web ]; then
  install -m 0644 /tmp/server.py /usr/local/lib/fleet/server.py
  rm -f /tmp/server.py
  echo "$GREETING" > /etc/fleet/greeting
  echo "$FAULT" > /etc/fleet/fault
fi
echo "fleet $SERVICE installed"
