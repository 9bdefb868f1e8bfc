#!/bin/sh
# Installs what the fleet's images share, and for cloud-init that such user data
# needs no handling.
set -eu
mkdir -p /usr/local/lib/fleet /etc/fleet /var/lib/cloud/handlers
install -m 0644 /tmp/fleet.sh /usr/local/lib/fleet/fleet.sh
install -m 0644 /tmp/goldline.py /var/lib/cloud/handlers/goldline.py
rm -f /tmp/fleet.sh /tmp/goldline.py
for needed in python3 curl; do
  command -v "$needed" > /dev/null || apt-get install -y -q "$needed"
done
echo "fleet base installed"
