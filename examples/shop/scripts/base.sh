#!/bin/sh
# Installs what the services share: how to read user data.
set -eu
mkdir -p /usr/local/lib/shop /etc/shop /var/lib/shop
install -m 0644 /tmp/shop.sh /usr/local/lib/shop/shop.sh
rm -f /tmp/shop.sh
echo "shop base installed"
