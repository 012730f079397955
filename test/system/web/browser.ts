import { existsSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { type Browser, type ConsoleMessage, chromium, type Page } from 'playwright-core'

/** The path of Chromium; `null` when it is not installed. */
export const browserPath =
  [process.env.TEST_CHROMIUM, '/usr/bin/chromium'].find((path) => path && existsSync(path)) ?? null

/** Starts Chromium without requests of its own. */
export function startChromium(executablePath = browserPath!): Promise<Browser> {
  const flags = ['--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update']
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-sync', ...flags] })
}

/** Lets `http` listen on a free port and returns its URL. */
export async function listen(http: FastifyInstance): Promise<string> {
  await http.listen({ port: 0, host: '127.0.0.1' })
  return `http://127.0.0.1:${(http.server.address() as AddressInfo).port}`
}

/** Collects console errors, warnings and uncaught exceptions of `page` from now on, except expected ones. */
export function collectPageErrors(
  page: Page,
  isExpected: (message: ConsoleMessage) => boolean = () => false,
): string[] {
  const pageErrors: string[] = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !isExpected(message)) pageErrors.push(message.text())
  })
  page.on('pageerror', (error) => pageErrors.push(String(error)))
  return pageErrors
}

/** An init script that stores `token` for the first page of a tab, so that it is signed in. */
export function storeTokenScript(token: string): string {
  const [key, value] = ['landfall:token', token].map((text) => JSON.stringify(text))
  const seeded = JSON.stringify('test:seeded')
  return `try {
    if (!sessionStorage.getItem(${seeded})) {
      sessionStorage.setItem(${key}, ${value})
      sessionStorage.setItem(${seeded}, 'yes')
    }
  } catch {}`
}
