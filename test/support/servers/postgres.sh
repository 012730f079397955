#!/usr/bin/env bash
# A private Postgres cluster of Debian's packages, for one machine's tests: no fsync, no password, 127.0.0.1 only.
#
#   eval "$(test/support/servers/postgres.sh up)"      then TEST_DATABASE_URL is set
#   test/support/servers/postgres.sh down
#
# Needs: apt-get install --no-install-recommends postgresql
# Settings: PG_PORT (any free one), PG_NAME (for more than one cluster), PG_FSYNC (off; on for crash tests)
set -euo pipefail
. "$(dirname "$0")/ground.sh"

dir=$ground/postgres-${PG_NAME:-0}
bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)

as_owner() { # Postgres refuses to run as root
  if [ "$(id -u)" = 0 ]; then
    setpriv --reuid postgres --regid postgres --init-groups env -C / "$@"
  else
    "$@"
  fi
}

down() {
  if [ -d "$dir/data" ]; then as_owner "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1 || true; fi
  rm -rf "$dir"
}

url() { echo "postgres://postgres@127.0.0.1:$(cat "$dir/port")/postgres"; }

is_up() { [ -s "$dir/port" ] && as_owner "$bin/pg_isready" -q -h 127.0.0.1 -p "$(cat "$dir/port")"; }

up() {
  if ! is_up; then
    down
    mkdir -p "$dir"
    echo "${PG_PORT:-$(free_port)}" >"$dir/port"
    if [ "$(id -u)" = 0 ]; then chmod 711 "$ground" && chown postgres "$dir"; fi
    as_owner "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --no-locale --no-sync >/dev/null
    cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $(cat "$dir/port")
unix_socket_directories = ''
fsync = ${PG_FSYNC:-off}
synchronous_commit = ${PG_FSYNC:-off}
max_connections = 200
CONF
    as_owner "$bin/pg_ctl" -D "$dir/data" -l "$dir/data/log" -w -t 30 start >/dev/null
  fi
  echo "export TEST_DATABASE_URL=$(url)"
}

case ${1:-} in
up) up ;;
down) down ;;
*) usage 'up|down' ;;
esac
