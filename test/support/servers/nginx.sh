#!/usr/bin/env bash
# nginx in front of some Landfall servers, as an operator would run it: buffering off in both directions, no size limit.
#
#   eval "$(UPSTREAM_PORTS="3001 3002" test/support/servers/nginx.sh up)"      then TEST_PROXY_URL is set
#   test/support/servers/nginx.sh down
#
# Needs: apt-get install --no-install-recommends nginx-light
# Settings: UPSTREAM_PORTS, NGINX_PORT (any free one), NGINX_NAME (for more than one); for bad examples NGINX_BODY_LIMIT (0: none)
# and NGINX_BUFFERING (off); NGINX_READ_TIMEOUT (300s)
set -euo pipefail
. "$(dirname "$0")/ground.sh"

dir=$ground/nginx-${NGINX_NAME:-0}

down() {
  if alive "$dir/nginx.pid"; then
    kill "$(cat "$dir/nginx.pid")" || true
    until_true 5 not alive "$dir/nginx.pid" || true
  fi
  rm -rf "$dir"
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

up() {
  [ -n "${UPSTREAM_PORTS:-}" ] || { echo 'UPSTREAM_PORTS is empty' >&2; exit 64; }
  down
  mkdir -p "$dir/temp"
  port=${NGINX_PORT:-$(free_port)}
  servers=$(for each in $UPSTREAM_PORTS; do echo "server 127.0.0.1:$each max_fails=0;"; done)
  as_root=$([ "$(id -u)" != 0 ] || echo 'user root;')
  cat >"$dir/nginx.conf" <<CONF
pid $dir/nginx.pid;
error_log $dir/error.log;
worker_processes 1;
$as_root
events { worker_connections 512; }
http {
  access_log $dir/access.log;
  client_body_temp_path $dir/temp/body;
  proxy_temp_path $dir/temp/proxy;
  fastcgi_temp_path $dir/temp/fastcgi;
  uwsgi_temp_path $dir/temp/uwsgi;
  scgi_temp_path $dir/temp/scgi;
  upstream landfall {
    $servers
    keepalive 16;
  }
  server {
    listen 127.0.0.1:$port;
    client_max_body_size ${NGINX_BODY_LIMIT:-0};
    location / {
      proxy_pass http://landfall;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host \$http_host;
      proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto \$scheme;
      proxy_set_header X-Forwarded-Host \$http_host;
      proxy_request_buffering ${NGINX_BUFFERING:-off};
      proxy_buffering ${NGINX_BUFFERING:-off};
      proxy_next_upstream off;
      proxy_read_timeout ${NGINX_READ_TIMEOUT:-300s};
      proxy_send_timeout 300s;
      client_body_timeout 300s;
    }
  }
}
CONF
  nginx -c "$dir/nginx.conf" -e "$dir/error.log"
  until_true 5 answers
  echo "export TEST_PROXY_URL=http://127.0.0.1:$port"
}

case ${1:-} in
up) up ;;
down) down ;;
*) usage 'up|down' ;;
esac
