#!/bin/sh
# Installs one service: its per-boot script, which configures it from user
# data, and what was decided when the image was built.
set -eu
mkdir -p /var/lib/cloud/scripts/per-boot /etc/shop
install -m 0755 /tmp/boot.sh "/var/lib/cloud/scripts/per-boot/50-shop-$SERVICE"
rm -f /tmp/boot.sh
if [ -n "${BANNER:-}" ]; then
  echo "$BANNER" > /etc/shop/banner
fi
echo "shop $SERVICE installed"
