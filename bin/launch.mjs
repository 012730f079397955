#!/usr/bin/env node
// Runs `npm start`, `npm test` and the other scripts. A fresh clone has no node_modules, and the Node of the machine may be too old for the
// server: so this file is plain JavaScript for Node 18 and later, without packages.
// `npm start` needs no development packages: it installs the packages of the build, builds, and keeps what the server needs.
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
  /** Prepares dist, and writes to dist/.node which Node runs it; bin/run.sh then starts the server. */
  async start() {
    endWithParent()
    await unlessReady(() => isBuilt() && findNode(root) !== null, prepare)
    writeNodePath(findNode(root))
  },
  async build() {
    await installAll()
    await withLock(() => run('node', ['bin/build.mjs']))
  },
  /** The package that npm publishes, in dist/package, and its tarball. */
  async package() {
    await installAll()
    await withLock(() => run('node', ['bin/pack.mjs']))
  },
  async dev(args) {
    await installAll()
    await run('node', ['bin/dev.mjs', ...args])
  },
  /** With arguments: only those tests. Without: all checks and quick tests. */
  async test(args) {
    await installAll()
    if (args.length > 0) return run('vitest', ['run', '--project', '!stores', ...args])
    await check()
    await run('vitest', ['run', '--project', 'tests'])
  },
  /** Slow tests, and those that need a browser, a proxy or a real S3 server. */
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

/** Checks style, common mistakes, types and unused code. */
async function check() {
  await run('biome', ['check', '.'])
  await run('oxlint', [])
  await run('tsc', ['-p', '.'])
  await run('tsc', ['-p', 'src/web'])
  await run('knip', [])
}

/** Installs and builds what `npm start` needs. Keeps an existing install with development packages, or one made by hand. */
async function prepare() {
  const withDev = hasDevelopmentPackages(root)
  const isMissing = !isInstalled(root, { withDev })
  const lacksNode = findNode(root) === null
  if (isMissing || lacksNode) await install({ withDev, isMissing, lacksNode })
  if (isMissing && !withDev) markForBuildOnly(root)
  // Started by its path: the build may remove node_modules, and the tools with it.
  const build = run(findNode(root), ['bin/build.mjs', ...(!withDev && isForBuildOnly(root) ? ['--alone'] : [])])
  await withProgress('building', () => '', build)
}

/** Installs all packages, unless node_modules matches package-lock.json. */
async function installAll() {
  await unlessReady(
    () => isInstalled(root, { withDev: true }),
    () => install({ withDev: true, isMissing: true, lacksNode: findNode(root) === null }),
  )
}

/** Runs `work` unless `isReady`, which is checked again after a wait for another launcher. */
async function unlessReady(isReady, work) {
  if (isReady()) return
  await withLock(async () => isReady() || (await work()))
}

/** Runs `work` while no other launcher installs or builds in this clone. */
async function withLock(work) {
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

/** Writes the path of the server's Node for bin/run.sh. A read-only clone may have it already. */
function writeNodePath(node) {
  const file = join(root, 'dist', '.node')
  if (!existsSync(file) || readFileSync(file, 'utf8') !== node) writeFileSync(file, node)
}

async function install({ withDev, isMissing, lacksNode }) {
  // Node comes first, and npm runs on it: npm skips optional packages, such as programs for this platform, that do not support its Node.
  if (lacksNode)
    await withProgress(
      `installing Node 24, because this is ${process.versions.node}`,
      () => '',
      orExit(installNode(root)),
    )
  if (!isMissing) return
  const wanted = countWanted(root, { withDev })
  const detail = () => `${Math.min(wanted, countPresent(root))} of ${wanted}`
  await withProgress('installing packages', detail, orExit(npmCi(root, { withDev, node: findNode(root) })))
}

/** Exits with the reason when `work` resolves to one. */
async function orExit(work) {
  const failure = await work
  if (failure === null) return
  console.error(`\n${failure}\n\nlandfall: the install failed; fix the problem above and run the same command again`)
  process.exit(1)
}

function isBuilt() {
  if (!existsSync(stamp)) return false
  const inputs = ['src', 'package-lock.json', 'tsconfig.json', 'bin']
  const builtAt = statSync(stamp).mtimeMs
  if (!inputs.every((input) => newest(join(root, input)) <= builtAt)) return false
  return existsSync(join(root, 'dist', 'node_modules')) || isInstalled(root, { withDev: false })
}

/** The time of the latest change in a file or folder. The time of a folder changes when files in it are removed. */
function newest(path) {
  const facts = statSync(path)
  if (!facts.isDirectory()) return facts.mtimeMs
  return Math.max(facts.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))))
}

/** Exits with its parent: the shell of npm dies of a signal without forwarding it. */
function endWithParent() {
  const parent = process.ppid
  setInterval(() => process.ppid !== parent && process.exit(143), 500).unref()
}

/**
 * Runs a command to its end. Signals to this process are forwarded to the command; when the command fails, this process exits the same
 * way.
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
