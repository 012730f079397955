#!/usr/bin/env node
// What `npm start`, `npm test` and the other scripts run first. A fresh clone has no node_modules, and the machine's own Node may be
// too old for the server: so this file is plain JavaScript for any Node from 18 on and needs no package.
// `npm start` needs no development packages: it installs what the build needs, builds, and keeps what runs.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assertWritable, withCloneLock } from './clone-lock.mjs'
import {
  countPresent,
  countWanted,
  hasDevelopmentPackages,
  isForBuildOnly,
  isInstalled,
  markForBuildOnly,
  npmCi,
} from './install.mjs'
import { findNode, installNode } from './node.mjs'
import { withProgress } from './progress.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const tools = join(root, 'node_modules', '.bin')
const stamp = join(root, 'dist', '.built')
process.chdir(root)

const steps = {
  /** Makes dist ready and says in dist/.node what runs it: bin/run.sh does. */
  async start() {
    endWithParent()
    await unlessReady(() => isBuilt() && findNode(root) !== null, prepare)
    sayWhichNode(findNode(root))
  },
  async build() {
    await installAll()
    await alone(() => run('node', ['bin/build.mjs']))
    // What others import of the package, with its types.
    await run('tsc', ['-p', 'tsconfig.exports.json'])
  },
  async dev(args) {
    await installAll()
    await run('node', ['bin/dev.mjs', ...args])
  },
  /** With arguments: only those tests. Without: everything quick that must hold before a change is handed in. */
  async test(args) {
    await installAll()
    if (args.length > 0) return run('vitest', ['run', '--project', '!stores', ...args])
    await check()
    await run('vitest', ['run', '--project', 'tests'])
  },
  /** The tests that are slow by nature, or need a browser, a proxy or a real S3 server. */
  async 'test:system'(args) {
    await installAll()
    await run('vitest', ['run', '--project', 'system', '--project', 'stores', ...args])
  },
  async check() {
    await installAll()
    await check()
  },
}

const [step, ...args] = process.argv.slice(2)
if (!Object.hasOwn(steps, step)) {
  console.error(`usage: node bin/launch.mjs ${Object.keys(steps).join('|')}`)
  process.exit(2)
}
await steps[step](args)

/** Style, faults, types, and what nothing uses. */
async function check() {
  await run('biome', ['check', '.'])
  await run('oxlint', [])
  await run('tsc', ['-p', '.'])
  await run('tsc', ['-p', 'src/web'])
  await run('knip', [])
}

/** Installs and builds what `npm start` needs. An install with development packages, or by hand, stays one. */
async function prepare() {
  const withDev = hasDevelopmentPackages(root)
  const isMissing = !isInstalled(root, { withDev })
  const lacksNode = findNode(root) === null
  if (isMissing || lacksNode) await install({ withDev, isMissing, lacksNode })
  if (isMissing && !withDev) markForBuildOnly(root)
  // Started by its path: node_modules, and with it the tools, may go in the middle of the build.
  const build = run(findNode(root), ['bin/build.mjs', ...(!withDev && isForBuildOnly(root) ? ['--alone'] : [])])
  await withProgress('building', () => '', build)
}

/** Installs everything, the development packages too, unless node_modules holds exactly what package-lock.json asks for. */
async function installAll() {
  await unlessReady(
    () => isInstalled(root, { withDev: true }),
    () => install({ withDev: true, isMissing: true, lacksNode: findNode(root) === null }),
  )
}

/** Does `work` unless `isReady`, also after another launcher has ended that was making it so. */
async function unlessReady(isReady, work) {
  if (isReady()) return
  await alone(async () => isReady() || (await work()))
}

/** Does `work` while no other launcher installs or builds in this clone. */
async function alone(work) {
  try {
    assertWritable()
  } catch (error) {
    console.error(
      `landfall: cannot write to ${root} (${error.code}), where packages are installed and the server is built; run this as the owner of the folder, or in a clone of your own`,
    )
    process.exit(1)
  }
  await withCloneLock(
    (wait) => withProgress('waiting for another command that prepares this clone', () => '', wait),
    work,
  )
}

/** Writes for bin/run.sh which Node runs the server; a clone that is not to be written to may say it already. */
function sayWhichNode(node) {
  const file = join(root, 'dist', '.node')
  if (!existsSync(file) || readFileSync(file, 'utf8') !== node) writeFileSync(file, node)
}

async function install({ withDev, isMissing, lacksNode }) {
  // First, and npm then runs on it: npm leaves out optional packages, programs of this platform among them, that are not for its own Node.
  if (lacksNode)
    await withProgress(`installing Node 24, as this one is ${process.versions.node}`, () => '', must(installNode(root)))
  if (!isMissing) return
  const wanted = countWanted(root, { withDev })
  const detail = () => `${Math.min(wanted, countPresent(root))} of ${wanted}`
  await withProgress('installing packages', detail, must(npmCi(root, { withDev, node: findNode(root) })))
}

/** Ends this process with what went wrong, if anything did. */
async function must(work) {
  const failure = await work
  if (failure === null) return
  console.error(`\n${failure}\n\nlandfall: the install failed; run the same command again when the reason is gone`)
  process.exit(1)
}

function isBuilt() {
  if (!existsSync(stamp)) return false
  const inputs = ['src', 'package-lock.json', 'tsconfig.json', 'bin']
  const builtAt = statSync(stamp).mtimeMs
  if (!inputs.every((input) => newest(join(root, input)) <= builtAt)) return false
  return existsSync(join(root, 'dist', 'node_modules')) || isInstalled(root, { withDev: false })
}

/** The time of the latest change in a file or folder. A folder's own time tells of files that went away. */
function newest(path) {
  const facts = statSync(path)
  if (!facts.isDirectory()) return facts.mtimeMs
  return Math.max(facts.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))))
}

/** The shell above dies of a signal to npm without passing it on: what it started must not go on alone. */
function endWithParent() {
  const parent = process.ppid
  setInterval(() => process.ppid !== parent && process.exit(143), 500).unref()
}

/**
 * Runs a command to its end. A signal to this process goes on to the command, and when the command fails, this process
 * ends the way it did.
 */
function run(command, commandArgs) {
  return new Promise((resolve) => {
    const env = { ...process.env, PATH: tools + delimiter + process.env.PATH }
    const child = spawn(command, commandArgs, { cwd: root, env, stdio: 'inherit' })
    const forward = (signal) => child.kill(signal)
    const stop = () => child.kill()
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
    for (const signal of signals) process.on(signal, forward)
    process.on('exit', stop)

    child.on('error', (error) => {
      console.error(`landfall: cannot run ${command}: ${error.message}`)
      process.exit(127)
    })
    child.on('exit', (code, signal) => {
      for (const name of signals) process.off(name, forward)
      process.off('exit', stop)
      if (code === 0) return resolve()
      process.exit(code ?? 128 + constants.signals[signal])
    })
  })
}
