// Screenshots of the admin page with sample data, for reviews and the documentation: `node tools/pictures.ts FOLDER`.
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { buildApp } from '../src/app/app.ts'
import { openConfiguredDatabase } from '../src/app/foundation.ts'
import { createAdminApi } from '../src/client/admin-api.ts'
import { loadConfig } from '../src/config.ts'
import { type Actor, userOf } from '../src/core/upload.ts'
import { signToken } from '../src/http/identity/secret.ts'
import { built } from '../test/support/built.ts'
import { listen, startChromium } from '../test/system/web/browser.ts'
import {
  createUpload,
  imagePrefix,
  pdfPrefix,
  send,
  type TestServer,
  tusHeaders,
  videoPrefix,
} from '../test/system/web/busy-server.ts'

const MiB = 1024 ** 2
const folder = process.argv[2] ?? 'pictures'
await mkdir(folder, { recursive: true })
await built('pages')
const dataDir = await mkdtemp(join(tmpdir(), 'landfall-pictures-'))
const config = loadConfig({ LOG_LEVEL: 'silent', DATA_DIR: dataDir, PART_SIZE: '256KiB' })
const database = await openConfiguredDatabase(config, { onError: console.error })
await database.migrate()
const app = await buildApp(config, { database })
const server = { url: await listen(app.http), secret: app.secret }
const browser = await startChromium()

await fillActivity()
await createSampleData(server)
const film = await startUploads(server)
const devices = [
  ['desktop', { viewport: { width: 1280, height: 800 } }],
  ['phone', { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true }],
] as const
// Until the server has written its activity and the denied requests.
await new Promise((resolve) => setTimeout(resolve, 25_000))
for (const [name, options] of devices) {
  for (const colorScheme of ['light', 'dark'] as const)
    await take(`${name}-${colorScheme}`, { ...options, colorScheme })
}
await browser.close()
app.http.server.closeAllConnections()
await app.stop()
await database.close()
await rm(dataDir, { recursive: true, force: true })
process.exit()

/** An hour of activity for the plots. */
async function fillActivity(): Promise<void> {
  const text = `insert into activity (at, received_bytes, stored_bytes, requests, client_errors, server_errors, store_errors, created, completed, cancelled, expired, failed)
    select to_timestamp(floor(extract(epoch from now()) / 10) * 10 - n * 10), 0, (38 + 22 * sin(n / 9.0) + 9 * sin(n * 1.7) + n % 5)::int * 1048576::bigint,
      40, greatest(0, 3 * sin(n / 5.0) + n % 3)::int, (n % 67 = 9)::int, 0, (3 + 2 * sin(n / 9.0) + n % 2)::int, (2 + 2 * sin((n - 4) / 9.0) + n % 2)::int, (n % 13 = 0)::int, 0, 0
    from generate_series(1, 360) n`
  await database.query({ name: 'fill-activity', text }, [])
}

/** Uploads that ended in each way, changed policies, denied requests and keys. */
async function createSampleData(server: TestServer): Promise<void> {
  const ann = userOf('ann', 'creator')
  const bob = userOf('bob', 'member')
  const cem = userOf('cem@example.org', 'subscriber', { tenant: 'acme' })
  const all: [Actor, string, Buffer, number][] = [
    [ann, 'Wedding in Porto, second camera.mp4', videoPrefix, 14 * MiB],
    [bob, 'Invoice 2026-0417.pdf', pdfPrefix, MiB],
    [cem, 'team.png', imagePrefix, 2 * MiB],
    [bob, 'Drone over the bay.mp4', videoPrefix, 9 * MiB],
    [ann, 'Übersicht Quartal 3.pdf', pdfPrefix, 3 * MiB],
  ]
  for (const [actor, filename, prefix, size] of all) {
    const { sent } = await send(server, actor, { filename, prefix, size })
    await sent
  }
  const unwanted = await send(
    server,
    bob,
    { filename: 'backup.mp4', prefix: videoPrefix, size: 5 * MiB },
    { upTo: 2 * MiB },
  )
  await fetch(`${server.url}/files/${unwanted.id}`, { method: 'DELETE', headers: await tusHeaders(server, bob) })
  await createUpload(server, cem, { filename: 'raw.png', size: 900 * MiB })
  await (await send(server, cem, { filename: 'not really a picture.png', prefix: Buffer.from('MZ'), size: MiB })).sent
  const token = await signToken(server.secret, userOf('olga', 'operator', { isAdmin: true }), 600)
  const admin = createAdminApi(server.url, () => token)
  const unrestricted = { user: null, tenant: null, expiresAt: null }
  await admin.createKey({ name: 'the nightly import', role: 'creator', scopes: ['upload', 'read'], ...unrestricted })
  const { version, policies } = await admin.policies()
  const roles = policies['roles'] as Record<string, object>
  const next = {
    ...policies,
    roles: {
      ...roles,
      member: { ...roles['member'], totalBytes: '90 MiB', bytesPerDay: '120 MiB', uploadsAtOnce: 5 },
      subscriber: { ...roles['subscriber'], totalFiles: 20, uploadsAtOnce: 2 },
    },
  }
  await admin.changePolicies(version, next, { note: 'Members get a daily share', applyToActive: false })
}

/** Starts uploads that take several minutes. */
async function startUploads(server: TestServer): Promise<string> {
  const ids: string[] = []
  const all: [string, string, string, number, number][] = [
    ['ann', 'creator', 'Concert, the whole evening.mp4', 420 * MiB, 2.4 * MiB],
    ['dora', 'member', 'IMG_2071.MOV', 60 * MiB, 0.7 * MiB],
    ['eli', 'creator', 'Lecture 12 – continental drift and what it does to coasts.mp4', 900 * MiB, 3.1 * MiB],
    ['fay', 'member', 'scan.pdf', 24 * MiB, 0.2 * MiB],
  ]
  for (const [user, role, filename, size, perSecond] of all) {
    const prefix = filename.endsWith('pdf') ? pdfPrefix : videoPrefix
    const { id } = await send(server, userOf(user, role), { filename, size, prefix }, { perSecond })
    ids.push(id)
  }
  return ids[0]!
}

async function take(name: string, options: BrowserContextOptions): Promise<void> {
  const context = await browser.newContext({ ...options, reducedMotion: 'reduce' })
  const token = await signToken(server.secret, userOf('olga', 'operator', { isAdmin: true }), 600)
  await context.addInitScript(`sessionStorage.setItem('landfall:admin-token', ${JSON.stringify(token)})`)
  const page = await context.newPage()
  page.on('console', (message) => console.error(`${name}: ${message.text()}`))
  page.on('pageerror', (error) => console.error(`${name}: ${error}`))
  const picture = async (section: string) => {
    const width = (await page.evaluate('document.documentElement.scrollWidth')) as number
    if (width !== options.viewport!.width) console.error(`${name} ${section} is ${width} wide`)
    await page.screenshot({ path: join(folder, `${section}-${name}.png`), fullPage: process.env.WHOLE === 'true' })
  }
  await page.goto(`${server.url}/admin`)
  await page.locator('.live-row').first().waitFor()
  await page.waitForTimeout(5000)
  await picture('now')
  await open(page, 'uploads', 'tbody tr')
  await picture('history')
  await open(page, `uploads/${film}`, '.timeline')
  await picture('upload')
  await page.getByRole('button', { name: 'Cancel' }).click()
  await picture('cancel')
  await page.getByRole('button', { name: 'Back' }).click()
  await open(page, 'policies', 'table')
  await picture('policies')
  const text = page.getByLabel('Policies as JSON')
  await text.fill(
    (await text.inputValue()).replace('"90 MiB"', '"200 MiB"').replace('"maxSize": "2 GiB"', '"maxSize": "4 GiB"'),
  )
  await page.locator('.diff-field').first().waitFor()
  await page.locator('.diff').evaluate('(diff) => diff.scrollIntoView({ block: "center" })')
  await picture('diff')
  await text.fill((await text.inputValue()).replace('"200 MiB"', '"200 parsecs"'))
  await page.locator('.problem').first().waitFor()
  await page.locator('.problem').first().evaluate('(error) => error.scrollIntoView({ block: "center" })')
  await picture('error')
  await open(page, 'quota', 'tbody tr')
  await picture('quota')
  await open(page, 'keys', 'tbody tr')
  await picture('keys')
  await open(page, 'audit', 'tbody tr')
  await picture('audit')
  await open(page, 'explain', 'form')
  await page.getByLabel('User').fill('bob')
  await page.getByLabel('File name').fill('film.mp4')
  await page.getByLabel('Type').fill('video/mp4')
  await page.getByLabel('Size (empty: unknown)').fill('3 GiB')
  await page.getByRole('button', { name: 'Check' }).click()
  await page.locator('.result').waitFor()
  await picture('explain')
  await context.close()
}

async function open(page: Page, path: string, selector: string): Promise<void> {
  await page.evaluate(`location.hash = '#/${path}'`)
  await page.locator(`main ${selector}`).first().waitFor()
  await page.evaluate('scrollTo(0, 0)')
  await page.waitForTimeout(400)
}
