// Builds the server, the command and the pages into dist: `node bin/build.mjs`. With --alone, dist becomes self-contained: the few packages
// that are not bundled move there, and node_modules, which `npm start` installed for the build only, is removed. Runs on the Node
// of the server.
import { rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build } from 'vite'
import { bundle, external } from './bundle.mjs'
import { movePackages } from './move-packages.mjs'

const root = dirname(import.meta.dirname)
const dist = join(root, 'dist')
const web = join(root, 'src', 'web')

rmSync(dist, { recursive: true, force: true })
await bundle(dist)
await build({ root: web, configFile: join(web, 'vite.config.ts'), logLevel: 'warn' })
if (process.argv.includes('--alone')) movePackages(external, join(root, 'node_modules'), join(dist, 'node_modules'))
writeFileSync(join(dist, '.built'), '')
