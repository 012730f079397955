// Installs packages with npm and shows progress: npm itself is silent, or warns about things that a user cannot change. When npm fails, all
// of its output is shown. Plain JavaScript for Node 18 and later.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'

/** Whether `folder`/node_modules matches package-lock.json, including development packages if `withDev`. */
export function isInstalled(folder, { withDev }) {
  // npm writes this file last, so an interrupted install does not count.
  const installed = packagesOf(join(folder, 'node_modules', '.package-lock.json'))
  const wanted = packagesOf(join(folder, 'package-lock.json'))
  if (!installed || !wanted) return false
  return Object.entries(wanted).every(
    ([path, entry]) =>
      path === '' ||
      entry.optional ||
      (isOfDevelopment(entry) && !withDev) ||
      installed[path]?.version === entry.version,
  )
}

/** Whether development packages are installed in `folder`, even if by an older lock file. */
export function hasDevelopmentPackages(folder) {
  const installed = packagesOf(join(folder, 'node_modules', '.package-lock.json')) ?? {}
  return Object.values(installed).some((entry) => entry.dev)
}

// npm removes everything in node_modules before it installs, including this file.
const buildOnly = (folder) => join(folder, 'node_modules', '.for-build-only')

/** Marks node_modules as installed by `npm start` for its build only. */
export function markForBuildOnly(folder) {
  writeFileSync(buildOnly(folder), '')
}

/** Whether node_modules may be removed after the build, also after an interrupted one. */
export function isForBuildOnly(folder) {
  return existsSync(buildOnly(folder))
}

/**
 * Installs with `npm ci`, which runs on `node`. Resolves to the output of npm when it fails, else to null. A signal to this process ends
 * npm first, and then this process.
 */
export function npmCi(folder, { withDev, node }) {
  // Errors only: warnings are about other versions of Node and about deprecated packages.
  const options = ['ci', withDev ? '--include=dev' : '--omit=dev', '--no-audit', '--no-fund', '--loglevel=error']
  return new Promise((resolve) => {
    const env = { ...process.env, PATH: dirname(node) + delimiter + process.env.PATH }
    const child = spawn('npm', options, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
    // On other signals npm moves files back for many seconds, into an install that the user may have started in the meantime.
    const stop = () => child.kill('SIGKILL')
    let endedBy = null
    const end = (signal) => {
      endedBy = signal
      stop()
    }
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
    for (const signal of signals) process.on(signal, end)
    process.on('exit', stop)
    child.on('error', (error) => resolve(`cannot run npm: ${error.message}`))
    child.on('close', (code) => {
      if (endedBy) process.exit(128 + constants.signals[endedBy])
      for (const signal of signals) process.off(signal, end)
      process.off('exit', stop)
      resolve(code === 0 ? null : output.trim() || `npm ended with ${code}`)
    })
  })
}

/** How many packages an install of `folder` has. */
export function countWanted(folder, { withDev }) {
  const wanted = Object.entries(packagesOf(join(folder, 'package-lock.json')) ?? {})
  return wanted.filter(([path, entry]) => path !== '' && !entry.optional && (withDev || !isOfDevelopment(entry))).length
}

/** How many packages are installed so far. */
export function countPresent(folder) {
  const list = (path) => (existsSync(path) ? readdirSync(path).filter((name) => !name.startsWith('.')) : [])
  const modules = join(folder, 'node_modules')
  return list(modules).reduce((sum, name) => sum + (name.startsWith('@') ? list(join(modules, name)).length : 1), 0)
}

function isOfDevelopment({ dev, devOptional }) {
  return dev === true || devOptional === true
}

function packagesOf(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : undefined
}
