#!/bin/sh
# Writes docker/.env with random secrets for compose.yaml. An existing file is kept: the database and the bucket were created with
# its secrets.
set -eu
cd "$(dirname "$0")"
file=${1:-.env}
if [ -e "$file" ]; then
  echo "$file exists and was kept"
  exit 0
fi
hex() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

umask 077
cat >"$file.new" <<ENV
JWT_SECRET=$(hex 32)
POSTGRES_PASSWORD=$(hex 24)
S3_ACCESS_KEY_ID=GK$(hex 12)
S3_SECRET_ACCESS_KEY=$(hex 32)
GARAGE_RPC_SECRET=$(hex 32)
GRAFANA_PASSWORD=$(hex 12)
ENV
mv "$file.new" "$file"
echo "$file written; keep it, and keep it secret"
