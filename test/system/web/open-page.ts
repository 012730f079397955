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
import { complaintsOf, keepToken, listen } from './browser.ts'

/** What the page asked the tus endpoint, and the offset it is about: PATCH says it, HEAD is answered with it. */
export interface Seen {
  method: string
  offset: number | null
}

export interface OpenPage {
  page: Page
  app: TestApp
  user: string
  /** Between browser and server. */
  wire: FaultProxy
  /** What the tus endpoint was asked. */
  seen: Seen[]
  /** A file on the disk. */
  fileOf(name: string, bytes: Buffer): Promise<string>
  /** Holds files over the page as a person would, and lets go. */
  drop(...paths: string[]): Promise<void>
  /** The bytes the store has of the user's newest upload. */
  stored(role?: string): Promise<Buffer>
  /** What the browser complained about. */
  complaints: string[]
}

/** The page of a whole app, in a fresh browser profile, signed in as a user of its own. */
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
  const wire = await startFaultProxy(await listen(app.http))
  const directory = await mkdtemp(join(tmpdir(), 'landfall-page-'))
  const context = await browser.newContext({ viewport: { width: 1000, height: 800 }, ...options })
  onTestFinished(async () => {
    await context.close()
    await wire.close()
    app.http.server.closeAllConnections()
    await rm(directory, { recursive: true, force: true })
  })

  const user = `ada-${randomUUID().slice(0, 8)}`
  const token = await signToken(secret, userOf(user, role), 600)
  if (isSignedIn) await context.addInitScript(keepToken(token))
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  const seen: Seen[] = []
  page.on('request', (request) => {
    const method = request.method()
    if (isUpload(request.url()) && method !== 'HEAD') seen.push({ method, offset: offsetIn(request.headers()) })
  })
  page.on('response', (response) => {
    const method = response.request().method()
    if (isUpload(response.url()) && method === 'HEAD') seen.push({ method, offset: offsetIn(response.headers()) })
  })
  const complaints = complaintsOf(page)
  // Leaving while files are on their way is asked about; here the answer is always yes.
  page.on('dialog', (dialog) => void dialog.accept())
  await page.goto(`${wire.endpoint}/${path}`)

  return {
    page,
    app,
    user,
    wire,
    seen,
    complaints,
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

/** Waits until more than `bytes` of the only file that is being sent have left the browser. */
export async function sentMoreThan({ page, wire }: Pick<OpenPage, 'page' | 'wire'>, bytes: number): Promise<void> {
  await page.locator('.row[data-state="sending"]').first().waitFor()
  await expect.poll(() => wire.counts.up, { timeout: 20_000, interval: 20 }).toBeGreaterThan(bytes)
}

/** Waits until the row is in `state`. */
export async function rowIs(page: Page, name: string, state: string): Promise<void> {
  await page.locator(`.row[data-state="${state}"]`, { hasText: name }).first().waitFor()
}

/** Every byte went over the wire once, as far as the server had recorded it: no PATCH began before the offset of its HEAD. */
export function expectNothingSentTwice(seen: Seen[]): void {
  expect(seen.filter(({ method }) => method === 'POST')).toHaveLength(1)
  let recorded = 0
  for (const { method, offset } of seen) {
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
