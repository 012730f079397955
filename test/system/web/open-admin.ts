import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { onTestFinished } from 'vitest'
import { type App, buildApp } from '../../../src/app/app.ts'
import { loadConfig } from '../../../src/config.ts'
import { type Actor, userOf } from '../../../src/core/upload.ts'
import { signToken } from '../../../src/http/identity/secret.ts'
import { memoryStore } from '../../support/memory-store.ts'
import { freshDatabase } from '../../support/postgres.ts'
import { collectPageErrors, listen } from './browser.ts'
import type { TestServer } from './busy-server.ts'

export const operator: Actor = userOf('olga', 'operator', { isAdmin: true })
const clientError = /^Failed to load resource: the server responded with a status of 4/
const secret = 'a secret that is long enough for HS256'

/** Two servers over one real Postgres and one store; they are closed after the test. */
export async function twoServers(): Promise<[TestServer, TestServer]> {
  const { url: database, dispose } = await freshDatabase()
  const store = memoryStore()
  const open = async (): Promise<{ app: App; url: string }> => {
    const settings = {
      NODE_ENV: 'production',
      LOG_LEVEL: 'silent',
      JWT_SECRET: secret,
      DATABASE_URL: database,
      PART_SIZE: '64KiB',
    }
    const app = await buildApp(loadConfig(settings), { store })
    return { app, url: await listen(app.http) }
  }
  const servers = await Promise.all([open(), open()])
  onTestFinished(async () => {
    for (const { app } of servers) app.http.server.closeAllConnections()
    await Promise.all(servers.map(({ app }) => app.stop()))
    await dispose()
  })
  return servers.map(({ url }) => ({ url, secret })) as [TestServer, TestServer]
}

export interface OpenAdmin {
  page: Page
  /** Console errors, dialogs and requests to other hosts; responses with 4xx are expected. */
  pageErrors: string[]
}

/** Opens the admin page of a server in a fresh browser profile, with the token of `actor`; `null`: without a token. */
export async function openAdmin(
  browser: Browser,
  server: TestServer,
  { actor = operator, path = '', ...options }: BrowserContextOptions & { actor?: Actor | null; path?: string } = {},
): Promise<OpenAdmin> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
  onTestFinished(() => context.close())
  if (actor) {
    const token = JSON.stringify(await signToken(server.secret, actor, 600))
    await context.addInitScript(`sessionStorage.setItem('landfall:admin-token', ${token})`)
  }
  const page = await context.newPage()
  page.setDefaultTimeout(15_000)
  const pageErrors = collectPageErrors(page, (message) => clientError.test(message.text()))
  page.on('dialog', (dialog) => {
    pageErrors.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(`${server.url}/`)) pageErrors.push(`request to ${request.url()}`)
  })
  await page.goto(`${server.url}/admin${path && `#/${path}`}`)
  return { page, pageErrors }
}
