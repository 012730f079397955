#!/usr/bin/env bash
# One proxy of Debian's packages in front of one Landfall server, each as its documentation shows it first, or with the
# settings that docs/proxies.md recommends (names that end in -tuned).
#
#   test/support/servers/proxy.sh KIND up      prints the URL of the proxy
#   test/support/servers/proxy.sh KIND down
#
# Kinds: nginx nginx-tuned haproxy haproxy-tcp caddy apache varnish lighttpd
# Settings: UPSTREAM_PORT, PROXY_NAME (for more than one of a kind), PROXY_PATH (a prefix that the proxy removes; nginx only)
# Needs: apt-get install --no-install-recommends nginx-light haproxy caddy apache2 varnish lighttpd
set -euo pipefail
. "$(dirname "$0")/ground.sh"

kind=${1:?kind}
dir=$ground/proxy-$kind-${PROXY_NAME:-0}

down() {
  if alive "$dir/pid"; then
    kill "$(cat "$dir/pid")" || true
    until_true 5 not alive "$dir/pid" || kill -9 "$(cat "$dir/pid")" || true
  fi
  rm -rf "$dir"
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

nginx_with() { # directives of the location
  as_root=$([ "$(id -u)" != 0 ] || echo 'user root;')
  prefix=${PROXY_PATH:-/}
  cat >"$dir/nginx.conf" <<CONF
pid $dir/pid;
error_log $dir/error.log;
worker_processes 1;
$as_root
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path $dir/temp/body;
  proxy_temp_path $dir/temp/proxy;
  fastcgi_temp_path $dir/temp/fastcgi;
  uwsgi_temp_path $dir/temp/uwsgi;
  scgi_temp_path $dir/temp/scgi;
  server {
    listen 127.0.0.1:$port;
    ${2:-}
    location $prefix {
      proxy_pass http://127.0.0.1:$UPSTREAM_PORT/;
      $1
    }
  }
}
CONF
  nginx -c "$dir/nginx.conf" -e "$dir/error.log"
}

haproxy_in() { # mode
  cat >"$dir/haproxy.cfg" <<CONF
global
  pidfile $dir/pid
defaults
  mode $1
  timeout connect 2s
  timeout client 300s
  timeout server 300s
  retries 0
  $([ "$1" = tcp ] || echo 'option forwardfor')
frontend in
  bind 127.0.0.1:$port
  default_backend landfall
backend landfall
  server one 127.0.0.1:$UPSTREAM_PORT
CONF
  haproxy -D -f "$dir/haproxy.cfg"
}

apache_with() { # directives
  cat >"$dir/apache.conf" <<CONF
ServerRoot $dir
PidFile $dir/pid
ErrorLog $dir/error.log
Listen 127.0.0.1:$port
ServerName localhost
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
$([ "$(id -u)" != 0 ] || printf 'User www-data\nGroup www-data')
$1
CONF
  apache2 -f "$dir/apache.conf" -k start
}

start_proxy() {
  case $kind in
  nginx) nginx_with '' ;;
  nginx-tuned)
    nginx_with 'proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_next_upstream off;
      proxy_read_timeout 300s;
      proxy_send_timeout 300s;' 'client_max_body_size 0; client_body_timeout 300s;'
    ;;
  haproxy) haproxy_in http ;;
  haproxy-tcp) haproxy_in tcp ;;
  caddy)
    printf '{\n  admin off\n  auto_https off\n}\nhttp://127.0.0.1:%s {\n  reverse_proxy 127.0.0.1:%s\n}\n' "$port" "$UPSTREAM_PORT" >"$dir/Caddyfile"
    XDG_DATA_HOME=$dir XDG_CONFIG_HOME=$dir caddy run --config "$dir/Caddyfile" --pidfile "$dir/pid" >"$dir/log" 2>&1 &
    ;;
  apache) apache_with "ProxyPass / http://127.0.0.1:$UPSTREAM_PORT/" ;;
  varnish)
    printf 'vcl 4.1;\nbackend default { .host = "127.0.0.1"; .port = "%s"; }\n' "$UPSTREAM_PORT" >"$dir/default.vcl"
    varnishd -f "$dir/default.vcl" -a "127.0.0.1:$port" -n "$dir/varnish" -P "$dir/pid" -s malloc,64m >"$dir/log" 2>&1
    ;;
  lighttpd)
    printf 'server.port = %s\nserver.bind = "127.0.0.1"\nserver.document-root = "%s"\nserver.pid-file = "%s/pid"\nserver.upload-dirs = ( "%s/temp" )\nserver.modules = ( "mod_proxy" )\nproxy.server = ( "" => (( "host" => "127.0.0.1", "port" => %s )))\n' \
      "$port" "$dir" "$dir" "$dir" "$UPSTREAM_PORT" >"$dir/lighttpd.conf"
    lighttpd -f "$dir/lighttpd.conf"
    ;;
  *) echo "unknown kind $kind" >&2; exit 64 ;;
  esac
}

case ${2:-} in
up)
  : "${UPSTREAM_PORT:?is not set}"
  down
  mkdir -p "$dir/temp"
  port=$(free_port)
  start_proxy
  until_true 10 answers
  echo "http://127.0.0.1:$port"
  ;;
down) down ;;
*) usage 'KIND up|down' ;;
esac
