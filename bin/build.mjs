// Builds the server, the command and the pages into dist: `node bin/build.mjs`, or with --alone so that dist needs nothing beside
// it: the few packages that are not part of the bundle move there, and node_modules, which `npm start` has installed for the
// build only, goes. It runs on the Node of the server.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build } from 'vite'
import { bundle, external } from './bundle.mjs'

const root = dirname(import.meta.dirname)
const dist = join(root, 'dist')
const web = join(root, 'src', 'web')

rmSync(dist, { recursive: true, force: true })
await bundle(dist)
await build({ root: web, configFile: join(web, 'vite.config.ts'), logLevel: 'warn' })
if (process.argv.includes('--alone')) standAlone()
writeFileSync(join(dist, '.built'), '')

function standAlone() {
  const modules = join(root, 'node_modules')
  const needed = new Set()
  for (const name of external) addWithDependencies(name, modules, needed)
  for (const name of needed) {
    const target = join(dist, 'node_modules', name)
    mkdirSync(dirname(target), { recursive: true })
    renameSync(join(modules, name), target)
  }
  rmSync(modules, { recursive: true, force: true })
}

/** Adds `name` and all that it needs in turn, as far as it is there; what lies in a package's own node_modules moves with it. */
function addWithDependencies(name, modules, needed) {
  const file = join(modules, name, 'package.json')
  if (needed.has(name) || !existsSync(file)) return
  needed.add(name)
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(file, 'utf8'))
  for (const other of Object.keys({ ...dependencies, ...optionalDependencies }))
    addWithDependencies(other, modules, needed)
}
