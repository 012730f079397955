import { existsSync, globSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { askBroker } from './broker.ts'

/** The bundled server, which starts in a fraction of the time that the source takes. */
export const serverScript = resolve('dist/server.js')

/** The build products that tests use, each with an output whose modification time is that of the build. */
const products = {
  server: { output: serverScript, build: buildServer },
  pages: { output: resolve('dist/web/index.html'), build: buildPages },
}

export type Product = keyof typeof products

/**
 * Resolves when `product` is built from the current source. In a test run only the first test that needs a product waits for its build,
 * and a product that no test needs is not built.
 */
export async function built(product: Product): Promise<void> {
  if (process.env.TEST_BROKER) await askBroker(`/built/${product}`)
  else await buildUnlessFresh(product)
}

/** Builds `product` if the source has changed since the last build. */
export async function buildUnlessFresh(product: Product): Promise<void> {
  const { output, build } = products[product]
  if (!isNewerThanSource(output)) await build()
}

export function isProduct(name: string): name is Product {
  return Object.hasOwn(products, name)
}

// The bundler is imported only for a build: most test files use a server that is already built.
async function buildServer(): Promise<void> {
  const { bundle } = await import('../../bin/bundle.mjs')
  await bundle(resolve('dist'))
}

async function buildPages(): Promise<void> {
  const { build } = await import('vite')
  await build({ root: 'src/web', configFile: 'src/web/vite.config.ts', logLevel: 'warn' })
}

function isNewerThanSource(path: string): boolean {
  if (!existsSync(path)) return false
  const builtAt = statSync(path).mtimeMs
  const inputs = [...globSync('src/**/*'), 'bin/bundle.mjs', 'package-lock.json']
  return inputs.every((input) => statSync(input).mtimeMs <= builtAt)
}
