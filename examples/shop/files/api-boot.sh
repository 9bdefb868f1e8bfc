#!/bin/sh
# Configures the API at every boot.
set -eu
. /usr/local/lib/shop/shop.sh
cat > /etc/shop/api.conf <<CONF
environment = $(userdata environment)
database    = $(userdata database)
CONF
ready api
