# Sourced by the scripts in this folder: the data directory, free ports, and background processes.

ground=${TMPDIR:-/tmp}/landfall-test

free_port() { # chosen by the operating system; another process may take it first
  node -e 'const s = require("node:net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })'
}

alive() { # pid file; a zombie is not alive
  [ -s "$1" ] && grep -Eqs '^State:[[:space:]]+[^ZX[:space:]]' "/proc/$(cat "$1")/status"
}

start() { # name, command...: in the background, in a session of its own, log and pid in $dir
  local name=$1
  shift
  setsid "$@" >>"$dir/$name.out" 2>&1 </dev/null &
  echo $! >"$dir/$name.pid"
}

stop() { # name...: kills the processes; the data is deleted, so nothing needs to be flushed
  local name
  for name in "$@"; do
    alive "$dir/$name.pid" || continue
    kill -9 "$(cat "$dir/$name.pid")" || true
    until_true 5 not alive "$dir/$name.pid"
  done
}

not() { ! "$@"; }

until_true() { # seconds, command...
  local rounds=$(($1 * 20))
  shift
  for _ in $(seq "$rounds"); do
    "$@" && return 0
    sleep 0.05
  done
  return 1
}

usage() {
  echo "usage: $(basename "$0") $1" >&2
  exit 64
}
