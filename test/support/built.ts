import { existsSync, globSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { askBroker } from './broker.ts'

/** The server as it is shipped, which is up in a fraction of the time that the source needs. */
export const serverScript = resolve('dist/server.js')

/** What tests may start or open, and the file that shows when it was built. */
const products = {
  server: { shows: serverScript, build: buildServer },
  pages: { shows: resolve('dist/web/index.html'), build: buildPages },
}

export type Product = keyof typeof products

/**
 * Resolves when `product` is built from the source as it is now. In a run of the tests only the first test that asks waits for a
 * build, and a run of which no test asks builds nothing.
 */
export async function built(product: Product): Promise<void> {
  if (process.env.TEST_BROKER) await askBroker(`/built/${product}`)
  else await buildUnlessFresh(product)
}

/** Builds `product` when the source has changed since the last time. */
export async function buildUnlessFresh(product: Product): Promise<void> {
  const { shows, build } = products[product]
  if (!isNewerThanSource(shows)) await build()
}

export function isProduct(name: string): name is Product {
  return Object.hasOwn(products, name)
}

// What builds is loaded when something is built: most test files that could start a server share one that is there.
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
