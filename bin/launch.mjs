#!/usr/bin/env node
// What `npm start`, `npm test`, `npm run check` and `npm run build` run. A fresh clone has no node_modules, and the machine's own Node may be
// too old for the server: so this file is plain JavaScript for any Node from 18 on and needs no package. It installs what
// package-lock.json says, builds, and runs the rest with the Node that was installed (node_modules/.bin stands first on PATH).
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const tools = join(root, 'node_modules', '.bin')
const stamp = join(root, 'dist', '.built')

const steps = {
  async start(args) {
    await install()
    if (!isBuilt()) await build()
    // V8 would take up to 128 MiB for what has just been made; a server makes little and keeps less.
    await run('node', ['--max-semi-space-size=16', 'dist/server.js', ...args])
  },
  async build() {
    await install()
    await build()
  },
  /** With arguments: only those tests. Without: everything quick that must hold before a change is handed in. */
  async test(args) {
    await install()
    if (args.length > 0) return run('vitest', ['run', '--project', '!stores', ...args])
    await check()
    await run('vitest', ['run', '--project', 'tests'])
  },
  /** The tests that are slow by nature, or need a browser, a proxy or a real S3 server. */
  async 'test:system'(args) {
    await install()
    await run('vitest', ['run', '--project', 'system', '--project', 'stores', ...args])
  },
  async check() {
    await install()
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
  if (existsSync(join(root, 'src/web/tsconfig.json'))) await run('tsc', ['-p', 'src/web'])
  await run('knip', [])
}

/** Installs unless node_modules holds exactly what package-lock.json asks for. */
async function install() {
  if (isInstalled()) return
  console.log('landfall: installing the packages of package-lock.json')
  // Development packages too, whatever NODE_ENV says: Node itself and the compiler are among them.
  await run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund'])
}

function isInstalled() {
  // npm writes this file last, so an install that was cut off does not count.
  const installed = readLock(join(root, 'node_modules', '.package-lock.json'))
  const wanted = readLock(join(root, 'package-lock.json'))
  if (!installed || !wanted) return false
  return Object.entries(wanted).every(
    ([path, entry]) => path === '' || entry.optional || installed[path]?.version === entry.version,
  )
}

function readLock(file) {
  if (!existsSync(file)) return undefined
  return JSON.parse(readFileSync(file, 'utf8')).packages
}

async function build() {
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  await run('node', ['bin/bundle.mjs'])
  // What others import of the package, with its types.
  if (existsSync(join(root, 'tsconfig.exports.json'))) await run('tsc', ['-p', 'tsconfig.exports.json'])
  if (existsSync(join(root, 'src/web/vite.config.ts'))) {
    await run('vite', ['build', 'src/web', '--config', 'src/web/vite.config.ts', '--logLevel', 'warn'])
  }
  writeFileSync(stamp, '')
}

function isBuilt() {
  if (!existsSync(stamp)) return false
  const inputs = ['src', 'package-lock.json', 'tsconfig.json', 'bin/bundle.mjs']
  const builtAt = statSync(stamp).mtimeMs
  return inputs.every((input) => newest(join(root, input)) <= builtAt)
}

/** The time of the latest change in a file or folder. A folder's own time tells of files that went away. */
function newest(path) {
  const facts = statSync(path)
  if (!facts.isDirectory()) return facts.mtimeMs
  return Math.max(facts.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))))
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
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
    for (const signal of signals) process.on(signal, forward)

    child.on('error', (error) => {
      console.error(`landfall: cannot run ${command}: ${error.message}`)
      process.exit(127)
    })
    child.on('exit', (code, signal) => {
      for (const name of signals) process.off(name, forward)
      if (code === 0) return resolve()
      process.exit(code ?? 128 + constants.signals[signal])
    })
  })
}
