import { existsSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { type Browser, type ConsoleMessage, chromium, type Page } from 'playwright-core'

/** Where the browser is; `null` when there is none. */
export const browserPath =
  [process.env.TEST_CHROMIUM, '/usr/bin/chromium'].find((path) => path && existsSync(path)) ?? null

/** Starts Chromium without what it likes to fetch by itself. */
export function startChromium(executablePath = browserPath!): Promise<Browser> {
  const quiet = ['--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update']
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-sync', ...quiet] })
}

/** Lets `http` listen on a free port; where it is reached. */
export async function listen(http: FastifyInstance): Promise<string> {
  await http.listen({ port: 0, host: '127.0.0.1' })
  return `http://127.0.0.1:${(http.server.address() as AddressInfo).port}`
}

/** What the browser complains about on `page` from now on, unless it is expected. */
export function complaintsOf(page: Page, isExpected: (message: ConsoleMessage) => boolean = () => false): string[] {
  const complaints: string[] = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !isExpected(message)) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  return complaints
}

/** Signs in with `token` when a page is opened for the first time. */
export function keepToken(token: string): string {
  const [key, value] = ['landfall:token', token].map((text) => JSON.stringify(text))
  const seeded = JSON.stringify('test:seeded')
  return `try {
    if (!sessionStorage.getItem(${seeded})) {
      sessionStorage.setItem(${key}, ${value})
      sessionStorage.setItem(${seeded}, 'yes')
    }
  } catch {}`
}
