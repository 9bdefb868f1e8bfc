#!/bin/sh
# Installs what the services share: how to read user data, and for cloud-init
# that such user data needs no handling.
set -eu
mkdir -p /usr/local/lib/shop /etc/shop /var/lib/shop
install -m 0644 /tmp/shop.sh /usr/local/lib/shop/shop.sh
rm -f /tmp/shop.sh
mkdir -p /var/lib/cloud/handlers
install -m 0644 /tmp/goldline.py /var/lib/cloud/handlers/goldline.py
rm -f /tmp/goldline.py
echo "shop base installed"
