// Finds the Node that runs the server: that of the machine if it is supported, else the one of the development packages, or one installed
// from npm with the lock file in bin/runtime. Plain JavaScript for Node 18 and later.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isInstalled, npmCi } from './install.mjs'

/** Whether `version` satisfies `engines` of package.json. */
export function isSupportedNode(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return (major === 22 && minor >= 19) || major === 24 || major >= 26
}

/** The path of a supported Node; `null` when one must be installed. @param version that of the running Node */
export function findNode(root, version = process.versions.node) {
  if (isSupportedNode(version)) return process.execPath
  return developmentNode(root) ?? runtimeNode(root)
}

function developmentNode(root) {
  const path = join(root, 'node_modules', 'node', 'bin', 'node')
  return existsSync(path) ? path : null
}

/** The Node below .runtime, if its install was completed. */
function runtimeNode(root) {
  const folder = join(root, '.runtime')
  if (!isInstalled(folder, { withDev: false })) return null
  const name = readdirSync(join(folder, 'node_modules')).find((entry) => entry.startsWith('node-'))
  const path = name && join(folder, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  return path && existsSync(path) ? path : null
}

/** Installs a Node below .runtime. Resolves to the reason when it fails, else to null. */
export async function installNode(root) {
  const folder = join(root, '.runtime')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  for (const file of ['package.json', 'package-lock.json'])
    cpSync(join(root, 'bin', 'runtime', file), join(folder, file))
  const failure = await npmCi(folder, { withDev: false, node: process.execPath })
  if (failure) return failure
  // The headers, a third of the package, are only needed to compile against Node.
  const modules = join(folder, 'node_modules')
  for (const name of readdirSync(modules).filter((entry) => entry.startsWith('node-')))
    rmSync(join(modules, name, 'include'), { recursive: true, force: true })
  if (runtimeNode(root)) return null
  return `Landfall needs Node 22.19 or later, 24, or 26 and later; this is ${process.versions.node}, and npm has no supported one for ${process.platform} ${process.arch}. Install one from https://nodejs.org`
}
