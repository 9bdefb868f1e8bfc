# Shared by the shop's per-boot scripts.

USER_DATA=/var/lib/cloud/instance/user-data.txt

# userdata KEY prints a text value of the user data. The document has one
# value a line, so sed is all it takes.
userdata() {
  sed -n 's/^ *"'"$1"'": *"\(.*\)",*$/\1/p' "$USER_DATA" | head -n 1
}

# ready SERVICE [MORE] writes the service's status file and says on the console
# that it serves. Boot scripts' output goes there.
ready() {
  more=${2-}
  line="shop: $1 ready environment=$(userdata environment) version=$(userdata version)${more:+ $more}"
  mkdir -p /var/lib/shop
  echo "$line" > "/var/lib/shop/$1.status"
  echo "$line"
}
