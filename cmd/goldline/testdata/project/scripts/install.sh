#!/bin/sh
set -eu
mkdir -p /var/lib/cloud/scripts/per-boot
cat > /var/lib/cloud/scripts/per-boot/50-web <<SCRIPT
#!/bin/sh
echo "web ready: $GREETING"
SCRIPT
chmod 0755 /var/lib/cloud/scripts/per-boot/50-web
echo "web installed"
