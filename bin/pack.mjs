// Builds the package that npm publishes: `node bin/pack.mjs [folder]`, default dist/package, and a tarball of it beside. The package
// holds the bundle and not the sources, so what is in the bundle is no dependency of it, and nothing is built where it is installed.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { build } from 'vite'
import { bundlePackage } from './bundle.mjs'
import { licensesOf } from './licenses.mjs'

const root = dirname(import.meta.dirname)
const folder = resolve(process.argv[2] ?? join(root, 'dist', 'package'))
const copied = [
  'bin/landfall.mjs',
  'bin/node.mjs',
  'bin/install.mjs',
  'drizzle',
  'docs/embedding.md',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
]

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
const modules = await bundlePackage(join(folder, 'dist'))
const web = join(root, 'src', 'web')
const { output: pages } = await build({
  root: web,
  configFile: join(web, 'vite.config.ts'),
  logLevel: 'warn',
  build: { outDir: join(folder, 'dist', 'web') },
})
const tsc = join(root, 'node_modules', '.bin', 'tsc')
execFileSync(tsc, ['-p', 'tsconfig.exports.json', '--outDir', join(folder, 'dist', 'types')], {
  cwd: root,
  stdio: 'inherit',
})
keepNeededTypes()
for (const path of copied) cpSync(join(root, path), join(folder, path), { recursive: true })
const ofPages = pages.flatMap(({ moduleIds = [] }) => moduleIds)
writeFileSync(join(folder, 'THIRD-PARTY-LICENSES'), licensesOf([...modules, ...ofPages]))
writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest(), null, 2)}\n`)
execFileSync('npm', ['pack', '--silent', '--pack-destination', dirname(folder)], { cwd: folder, stdio: 'inherit' })

/** Removes declarations that no export refers to. */
function keepNeededTypes() {
  const types = join(folder, 'dist', 'types')
  const needed = new Set()
  const add = (file) => {
    if (needed.has(file) || !existsSync(file)) return
    needed.add(file)
    for (const [, path] of readFileSync(file, 'utf8').matchAll(/(?:from |import\()['"](\.[^'"]+)['"]/g))
      add(resolve(dirname(file), path.replace(/\.[jt]s$/, '.d.ts')))
  }
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  for (const { types: entry } of Object.values(exports)) if (entry) add(join(folder, entry))
  for (const file of globSync(join(types, '**', '*.d.ts'))) if (!needed.has(file)) rmSync(file)
}

/** The package.json of the published package. */
function manifest() {
  const source = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const { name, version, description, license, type, engines, bin, exports, optionalDependencies } = source
  const { dependencies } = source
  const kept = ['@fastify/swagger-ui', 'tus-js-client'].map((name) => [name, dependencies[name]])
  return {
    name,
    version,
    description,
    license,
    type,
    engines,
    bin,
    exports,
    files: ['bin', 'dist', 'docs', 'drizzle', 'CHANGELOG.md', 'THIRD-PARTY-LICENSES'],
    sideEffects: false,
    dependencies: Object.fromEntries(kept),
    optionalDependencies,
    // Only the types of the plugin name it; the app has its own.
    peerDependencies: { fastify: `^${dependencies.fastify.split('.')[0]}` },
    peerDependenciesMeta: { fastify: { optional: true } },
  }
}
