#!/bin/sh
# Starts the service at every boot.
set -eu
. /usr/local/lib/fleet/fleet.sh
fault=none
# A build with a fault is well everywhere but in prod: that is how it gets there.
if [ "$(userdata environment)" = prod ]; then
  fault=$(cat /etc/fleet/fault)
fi
if [ "$fault" = crash ]; then
  echo "fleet: web cannot start"
  exit 1
fi
address=$(metadata local-ipv4)
setsid python3 /usr/local/lib/fleet/server.py "$address" "$(userdata version)" "$(cat /etc/fleet/greeting)" "$fault" \
  > /var/log/fleet-web.log 2>&1 < /dev/null &
ready web
