#!/usr/bin/env bash
# One node of Ceph with its S3 gateway: a real S3 server, made of Debian's packages. Its data is in memory, or on disk if it
# is larger than a few GiB.
#
#   eval "$(test/support/servers/ceph.sh up)"          then TEST_S3_ENDPOINT, _REGION, _BUCKET and the keys are set
#   test/support/servers/ceph.sh pause | resume        the gateway accepts connections and never answers
#   test/support/servers/ceph.sh kill | start          the gateway refuses connections; the data stays
#   test/support/servers/ceph.sh down
#
# Needs root, and: apt-get install --no-install-recommends ceph-mon ceph-osd radosgw curl
# Settings: CEPH_PORT, CEPH_MON_PORT (any free ones), CEPH_NAME (for more than one), CEPH_BUCKET,
# CEPH_STORE (memory or disk), CEPH_MEMORY (bytes), CEPH_DISK_SIZE (bytes; a sparse file takes what is written)
set -euo pipefail
. "$(dirname "$0")/ground.sh"

dir=$ground/ceph-${CEPH_NAME:-0}
bucket=${CEPH_BUCKET:-uploads}
access_key=test-access-key
secret_key=test-secret-key
export CEPH_CONF=$dir/ceph.conf CEPH_ARGS="--conf $dir/ceph.conf"

endpoint() { echo "http://127.0.0.1:$(cat "$dir/port")"; }
answers() { curl -sS -o /dev/null --max-time 2 "$(endpoint)/" 2>/dev/null; }
is_up() { [ -s "$dir/port" ] && alive "$dir/gateway.pid" && answers; }

down() {
  stop gateway osd mon
  rm -rf "$dir"
}

describe_store() {
  case ${CEPH_STORE:-memory} in
  memory)
    echo 'osd objectstore = memstore'
    echo "memstore device bytes = ${CEPH_MEMORY:-4294967296}"
    ;;
  disk) # a file in the OSD's folder instead of a device
    echo 'osd objectstore = bluestore'
    echo 'bluestore block create = true'
    echo "bluestore block size = ${CEPH_DISK_SIZE:-21474836480}"
    echo 'osd memory target = 1073741824'
    ;;
  esac
}

write_config() {
  local mon_port=$1
  # Small and quick: one copy of everything, one placement group a pool, a monitor that decides at once.
  cat >"$CEPH_CONF" <<CONF
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon host = v2:127.0.0.1:$mon_port
public network = 127.0.0.0/8
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms bind msgr1 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = $dir/keyring
run dir = $dir
admin socket = $dir/\$name.asok
log file = $dir/\$name.log
mon cluster log file = $dir/cluster.log
crash dir = $dir/crash
heartbeat file =
setuser match path =
paxos propose interval = 0.05
paxos min wait = 0.02
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 10000
[mon]
mon data = $dir/mon
mon data avail crit = 1
mon data avail warn = 1
[osd]
osd data = $dir/osd
$(describe_store)
osd class load list = *
osd class default list = *
[client.gateway]
# Without tcp_nodelay every small answer waits 40 ms for an acknowledgement.
rgw frontends = beast endpoint=127.0.0.1:$(cat "$dir/port") tcp_nodelay=1
rgw data = $dir/gateway
rgw enable usage log = false
rgw enable ops log = false
rgw thread pool size = 64
# Deleted objects free their space within seconds, not after two hours.
rgw gc obj min wait = 5
rgw gc processor period = 10
rgw gc processor max time = 10
CONF
}

add_key() { # name, capability...
  local name=$1
  shift
  ceph-authtool "$dir/keyring" --gen-key -n "$name" "$@" >/dev/null
}

up() {
  if ! is_up; then
    down
    mkdir -p "$dir"/{mon,osd,gateway,crash}
    echo "${CEPH_PORT:-$(free_port)}" >"$dir/port"
    local mon_port=${CEPH_MON_PORT:-$(free_port)}
    write_config "$mon_port"

    ceph-authtool -C "$dir/keyring" >/dev/null
    add_key mon. --cap mon 'allow *'
    add_key client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    add_key osd.0 --cap mon 'allow profile osd' --cap osd 'allow *' --cap mgr 'allow profile osd'
    add_key client.gateway --cap mon 'allow *' --cap osd 'allow *'

    local fsid osd_id
    fsid=$(awk '/^fsid/ { print $3 }' "$CEPH_CONF")
    monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon_port]" "$dir/monmap" >/dev/null
    ceph-mon --mkfs -i a --keyring "$dir/keyring" --monmap "$dir/monmap" >>"$dir/mkfs.out" 2>&1
    start mon ceph-mon -f -i a

    osd_id=$(cat /proc/sys/kernel/random/uuid)
    until_true 20 timeout 10 ceph --connect-timeout 5 osd new "$osd_id" 0 >/dev/null 2>>"$dir/mkfs.out"
    ceph-osd --mkfs -i 0 --osd-uuid "$osd_id" >>"$dir/mkfs.out" 2>&1
    start osd ceph-osd -f -i 0
    start_gateway

    radosgw-admin user create --uid=test --display-name=test --access-key="$access_key" --secret-key="$secret_key" \
      -n client.gateway >"$dir/user.out" 2>&1
    curl -fsS -o /dev/null -X PUT "$(endpoint)/$bucket" -u "$access_key:$secret_key" --aws-sigv4 aws:amz:us-east-1:s3 \
      -H "x-amz-content-sha256: $(printf '' | sha256sum | cut -d' ' -f1)"
  fi
  cat <<EXPORTS
export TEST_S3_ENDPOINT=$(endpoint)
export TEST_S3_REGION=us-east-1
export TEST_S3_BUCKET=$bucket
export TEST_S3_ACCESS_KEY_ID=$access_key
export TEST_S3_SECRET_ACCESS_KEY=$secret_key
EXPORTS
}

start_gateway() {
  start gateway radosgw -f -n client.gateway
  until_true 60 answers || { tail -20 "$dir/gateway.out" >&2; exit 1; }
}

case ${CEPH_STORE:-memory} in
memory | disk) ;;
*) usage 'with CEPH_STORE=memory|disk' ;;
esac

case ${1:-} in
up) up ;;
down) down ;;
pause) kill -STOP "$(cat "$dir/gateway.pid")" ;;
resume) kill -CONT "$(cat "$dir/gateway.pid")" ;;
kill) stop gateway ;;
start) start_gateway ;;
*) usage 'up|down|pause|resume|kill|start' ;;
esac
