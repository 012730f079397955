import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { signToken } from '../../../src/http/identity/secret.ts'
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts'
import { secret, type TestApp, testApp } from '../../support/test-app.ts'
import { collectPageErrors, listen, storeTokenScript } from './browser.ts'

/** A request to the tus endpoint with its offset: the one PATCH sends, or the one in the response to HEAD. */
export interface RecordedRequest {
  method: string
  offset: number | null
}

export interface OpenPage {
  page: Page
  app: TestApp
  user: string
  /** The proxy between browser and server. */
  proxy: FaultProxy
  /** Requests to the tus endpoint. */
  requests: RecordedRequest[]
  /** Creates a file on disk. */
  fileOf(name: string, bytes: Buffer): Promise<string>
  /** Drags files over the page and drops them. */
  drop(...paths: string[]): Promise<void>
  /** The bytes of the user's newest upload in the store. */
  stored(role?: string): Promise<Buffer>
  /** Console errors and uncaught exceptions. */
  pageErrors: string[]
}

/** Opens the page of a complete app in a fresh browser profile, signed in as a new user. */
export async function openPage(
  browser: Browser,
  {
    role = 'creator',
    isSignedIn = true,
    path = '',
    ...options
  }: BrowserContextOptions & { role?: string; isSignedIn?: boolean; path?: string } = {},
): Promise<OpenPage> {
  const app = await testApp({ PART_SIZE: '1MiB' })
  const proxy = await startFaultProxy(await listen(app.http))
  const directory = await mkdtemp(join(tmpdir(), 'landfall-page-'))
  const context = await browser.newContext({ viewport: { width: 1000, height: 800 }, ...options })
  onTestFinished(async () => {
    await context.close()
    await proxy.close()
    app.http.server.closeAllConnections()
    await rm(directory, { recursive: true, force: true })
  })

  const user = `ada-${randomUUID().slice(0, 8)}`
  const token = await signToken(secret, userOf(user, role), 600)
  if (isSignedIn) await context.addInitScript(storeTokenScript(token))
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  const requests: RecordedRequest[] = []
  page.on('request', (request) => {
    const method = request.method()
    if (isUpload(request.url()) && method !== 'HEAD') requests.push({ method, offset: offsetIn(request.headers()) })
  })
  page.on('response', (response) => {
    const method = response.request().method()
    if (isUpload(response.url()) && method === 'HEAD') requests.push({ method, offset: offsetIn(response.headers()) })
  })
  const pageErrors = collectPageErrors(page)
  // The page asks before it is left during an upload; the tests always confirm.
  page.on('dialog', (dialog) => void dialog.accept())
  await page.goto(`${proxy.endpoint}/${path}`)

  return {
    page,
    app,
    user,
    proxy,
    requests,
    pageErrors,
    async fileOf(name, bytes) {
      const path = join(directory, name)
      await writeFile(path, bytes)
      return path
    },
    async drop(...files) {
      const session = await context.newCDPSession(page)
      const { x, y, width, height } = (await page.locator('.drop').boundingBox())!
      const data = { items: [], files, dragOperationsMask: 1 }
      for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
        await session.send('Input.dispatchDragEvent', { type, x: x + width / 2, y: y + height / 2, data })
      }
      await session.detach()
    },
    async stored(role = 'creator') {
      const [upload] = await app.engine.list(userOf(user, role), { limit: 1 })
      return buffer(app.store.read(upload!.key))
    },
  }
}

/** The row of a file. */
export function rowOf(page: Page, name: string) {
  return page.locator('.row', { hasText: name })
}

/** Waits until the browser has sent more than `bytes` in total. */
export async function waitUntilSent({ page, proxy }: Pick<OpenPage, 'page' | 'proxy'>, bytes: number): Promise<void> {
  await page.locator('.row[data-state="sending"]').first().waitFor()
  await expect.poll(() => proxy.counts.up, { timeout: 20_000, interval: 20 }).toBeGreaterThan(bytes)
}

/** Waits until the row is in `state`. */
export async function waitForRow(page: Page, name: string, state: string): Promise<void> {
  await page.locator(`.row[data-state="${state}"]`, { hasText: name }).first().waitFor()
}

/** Expects that no recorded byte was sent twice: every PATCH starts at the offset of the HEAD before it. */
export function expectNothingSentTwice(requests: RecordedRequest[]): void {
  expect(requests.filter(({ method }) => method === 'POST')).toHaveLength(1)
  let recorded = 0
  for (const { method, offset } of requests) {
    if (method === 'HEAD') recorded = offset!
    if (method === 'PATCH') expect(offset).toBe(recorded)
  }
}

function isUpload(url: string): boolean {
  return new URL(url).pathname.startsWith('/files')
}

function offsetIn(headers: Record<string, string>): number | null {
  const offset = headers['upload-offset']
  return offset === undefined ? null : Number(offset)
}
