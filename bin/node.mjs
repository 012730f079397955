// Which Node runs the server: the machine's own where it is new enough; else the one that the development packages brought, or
// one of npm's packages, whose lock file bin/runtime holds. Plain JavaScript for Node 18 and later.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isInstalled, npmCi } from './install.mjs'

/** What package.json asks for under `engines`. */
export function isGoodNode(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return (major === 22 && minor >= 19) || major === 24 || major >= 26
}

/** The path of a Node that is good and there already; `null` when one must be installed. @param version of the machine's own */
export function findNode(root, version = process.versions.node) {
  if (isGoodNode(version)) return process.execPath
  return developmentNode(root) ?? runtimeNode(root)
}

function developmentNode(root) {
  const path = join(root, 'node_modules', 'node', 'bin', 'node')
  return existsSync(path) ? path : null
}

/** The Node below .runtime, if it was installed whole. */
function runtimeNode(root) {
  const folder = join(root, '.runtime')
  if (!isInstalled(folder, { withDev: false })) return null
  const name = readdirSync(join(folder, 'node_modules')).find((entry) => entry.startsWith('node-'))
  const path = name && join(folder, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  return path && existsSync(path) ? path : null
}

/** Installs a Node below .runtime. Resolves to what went wrong, to null when nothing did. */
export async function installNode(root) {
  const folder = join(root, '.runtime')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  for (const file of ['package.json', 'package-lock.json'])
    cpSync(join(root, 'bin', 'runtime', file), join(folder, file))
  const failure = await npmCi(folder, { withDev: false, node: process.execPath })
  if (failure) return failure
  // A third of the package is for those who compile against Node.
  const modules = join(folder, 'node_modules')
  for (const name of readdirSync(modules).filter((entry) => entry.startsWith('node-')))
    rmSync(join(modules, name, 'include'), { recursive: true, force: true })
  if (runtimeNode(root)) return null
  return `Landfall needs Node 22.19 or later, 24, or 26 and later; this is ${process.versions.node}, and npm has no other one for ${process.platform} ${process.arch}. Install one from https://nodejs.org`
}
