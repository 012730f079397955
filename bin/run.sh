#!/bin/sh
# The last step of `npm start`, after bin/launch.mjs has made everything ready. The shell becomes the server, so that neither it nor
# the launcher stays in memory, or stands between npm and the server when a signal comes.
cd "$(dirname "$0")/.." || exit 1
# V8 would take up to 128 MiB for what has just been made; a server makes little and keeps less.
exec "$(cat dist/.node)" --max-semi-space-size=16 dist/server.js "$@"
