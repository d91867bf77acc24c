# What the commands of the docs do in tests. Sourced before the commands of a page, in an empty folder.
# $ROOT is the checkout, $OUR_MAIN the built program.
set -euo pipefail

gateway=''
trap '[ -z "$gateway" ] || kill "$gateway"' EXIT

# Starts the gateway in place of the one before, and waits until it listens.
start() {
  [ -z "$gateway" ] || kill "$gateway"
  gateway=''
  if [ -n "${REDIS_URL:-}" ]; then # There is none here: only whether it takes the settings.
    command node "$OUR_MAIN" --print-config >/dev/null
    return
  fi
  local lines line
  exec {lines}< <(exec env PORT=0 node "$@" 2>&1)
  gateway=$!
  while read -r line <&"$lines"; do
    [[ $line =~ \"url\":\"[a-z]+://[^\"]*:([0-9]+)\" ]] && GATEWAY_PORT=${BASH_REMATCH[1]} && break
    echo "$line" >&2
  done
  [ -n "${GATEWAY_PORT:-}" ]
  : >sluice.log
  grep '^{' <&"$lines" >sluice.log &
}

sluice() {
  case "${1:-}" in
    '' | --config) start "$OUR_MAIN" "$@" ;;
    *) command node "$OUR_MAIN" "$@" ;;
  esac
}

npm() {
  case "$1" in
    ci | test | run) ;; # Another test knows the names of scripts.
    start) shift && [ "${1:-}" != -- ] || shift && sluice "$@" ;;
    install) shift && for name; do [[ $name =~ ^(sluice|@sluice/client)$ ]] || [ -d "$ROOT/node_modules/$name" ]; done ;;
    *) return 1 ;;
  esac
}

npx() {
  [ "$1" = sluice ] && shift && sluice "$@"
}

node() {
  start "${@//.\/examples\//$ROOT/examples/}"
}

curl() {
  command curl -sSf "$@"
}

# Neither these nor what they would reach is on a machine that tests.
docker() { echo "not run: docker $*"; }
systemctl() { echo "not run: systemctl $*"; }
[ -n "$(command -v jq)" ] || jq() { cat >/dev/null; }
