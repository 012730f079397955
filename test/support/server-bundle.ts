import { existsSync, globSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { bundle } from '../../bin/bundle.mjs'

/** The server as it is shipped: what tests start, which is up in a fraction of the time that the source needs. */
export const serverScript = resolve('dist/server.js')

/** Bundles the server when its source has changed since the last time. */
export async function bundleServer(): Promise<void> {
  if (!isFresh()) await bundle(resolve('dist'))
}

function isFresh(): boolean {
  if (!existsSync(serverScript)) return false
  const builtAt = statSync(serverScript).mtimeMs
  const inputs = [...globSync('src/**/*'), 'bin/bundle.mjs', 'package-lock.json']
  return inputs.every((path) => statSync(path).mtimeMs <= builtAt)
}
