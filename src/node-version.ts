// Written for Nodes that are too old for everything else: no imports, no new syntax.

/** What package.json asks for under `engines`, in words. */
const needed = '22.19 or later, 24, or 26 and later'

/** What to tell somebody who runs this on `version` (as in `process.versions.node`); `null` when it will do. */
export function unsupportedNode(version: string): string | null {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isFine = (major === 22 && minor >= 19) || major === 24 || major >= 26
  return isFine ? null : `landfall needs Node ${needed}; this is ${version}`
}
