// Installs what a lock file says, with npm, and shows how far it is: npm itself is silent for as long as it takes, or warns of
// things that a user can do nothing about. When npm fails, everything that it said is shown. Plain JavaScript for Node 18 and later.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'

/** Whether `folder`/node_modules holds what its package-lock.json asks for, also the development packages if `withDev`. */
export function isInstalled(folder, { withDev }) {
  // npm writes this file last, so an install that was cut off does not count.
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

/** Whether development packages were installed in `folder`, be it by an older lock file. */
export function hasDevelopmentPackages(folder) {
  const installed = packagesOf(join(folder, 'node_modules', '.package-lock.json')) ?? {}
  return Object.values(installed).some((entry) => entry.dev)
}

// npm removes everything in node_modules before it installs, this file too.
const buildOnly = (folder) => join(folder, 'node_modules', '.for-build-only')

/** Remembers that node_modules was installed by `npm start`, for its build and nothing else. */
export function markForBuildOnly(folder) {
  writeFileSync(buildOnly(folder), '')
}

/** Whether node_modules may go after the build: also after a build that was cut off. */
export function isForBuildOnly(folder) {
  return existsSync(buildOnly(folder))
}

/**
 * Installs with `npm ci`, which runs on `node`. Resolves to what npm said when it failed, to null when it did not. A signal to this
 * process ends npm first, and then this process.
 */
export function npmCi(folder, { withDev, node }) {
  // Warnings say which packages want another Node than npm's own, and which are deprecated.
  const words = ['ci', withDev ? '--include=dev' : '--omit=dev', '--no-audit', '--no-fund', '--loglevel=error']
  return new Promise((resolve) => {
    const env = { ...process.env, PATH: dirname(node) + delimiter + process.env.PATH }
    const child = spawn('npm', words, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text))
    // npm answers other signals by moving files back, for many seconds, into the install that the user has begun in the meantime.
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
      resolve(code === 0 ? null : said.trim() || `npm ended with ${code}`)
    })
  })
}

/** How many packages an install of `folder` puts there. */
export function countWanted(folder, { withDev }) {
  const wanted = Object.entries(packagesOf(join(folder, 'package-lock.json')) ?? {})
  return wanted.filter(([path, entry]) => path !== '' && !entry.optional && (withDev || !isOfDevelopment(entry))).length
}

/** How many packages are there by now. */
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
