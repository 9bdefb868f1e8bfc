# Shared by the fleet's per-boot scripts.

USER_DATA=/var/lib/cloud/instance/user-data.txt

# userdata KEY prints a text value of the user data, which has one value a line.
userdata() {
  sed -n 's/^ *"'"$1"'": *"\(.*\)",*$/\1/p' "$USER_DATA" | head -n 1
}

# metadata PATH prints a value of the instance's metadata.
metadata() {
  at=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
  token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "${at%/}/latest/api/token")
  curl -sf -H "X-aws-ec2-metadata-token: $token" "${at%/}/latest/meta-data/$1"
}

# ready SERVICE says on the console that a service serves.
ready() {
  echo "fleet: $1 ready environment=$(userdata environment) version=$(userdata version)"
}
