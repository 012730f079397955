#!/bin/sh
# The last step of `npm start`, after bin/launch.mjs has prepared everything. `exec` replaces the shell by the server, so that neither the
# shell nor the launcher stays in memory or delays a signal from npm to the server.
cd "$(dirname "$0")/.." || exit 1
# Without the option V8 uses up to 128 MiB for new objects; the server needs far less.
exec "$(cat dist/.node)" --max-semi-space-size=16 dist/server.js "$@"
