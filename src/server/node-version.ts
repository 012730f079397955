// Must load on old versions of Node: no imports, no new syntax.

/** The requirement under `engines` in package.json, in words. */
const needed = '22.19 or later, 24, or 26 and later'

/** Why `version` (as in `process.versions.node`) cannot run the server, for the operator; `null` when it can. */
export function unsupportedNode(version: string): string | null {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isSupported = (major === 22 && minor >= 19) || major === 24 || major >= 26
  return isSupported ? null : `landfall needs Node ${needed}; this is ${version}`
}
