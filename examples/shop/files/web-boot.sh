#!/bin/sh
# Configures the web front at every boot.
set -eu
. /usr/local/lib/shop/shop.sh
cat > /etc/shop/web.conf <<CONF
environment = $(userdata environment)
feature     = $(userdata feature)
api         = $(userdata api)
banner      = $(cat /etc/shop/banner)
CONF
ready web "feature=$(userdata feature)"
