// Screenshots of the upload page in its states, for reviews and the documentation: `node tools/page-pictures.ts FOLDER [light|dark|phone]`.
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { buildApp } from '../src/app/app.ts'
import { openConfiguredDatabase } from '../src/app/foundation.ts'
import { loadConfig } from '../src/config.ts'
import { userOf } from '../src/core/upload.ts'
import { signToken } from '../src/http/identity/secret.ts'
import { built } from '../test/support/built.ts'
import { startFaultProxy } from '../test/support/fault-proxy.ts'
import { listen, startChromium, storeTokenScript } from '../test/system/web/browser.ts'

const MiB = 1024 ** 2
const [folder = 'pictures', only] = process.argv.slice(2)
await mkdir(folder, { recursive: true })
await built('pages')
const dataDir = await mkdtemp(join(tmpdir(), 'landfall-pictures-'))
const files = await mkdtemp(join(tmpdir(), 'landfall-files-'))
const settings = { LOG_LEVEL: 'silent', DATA_DIR: dataDir, PART_SIZE: '256KiB' }
// The build of the page may have set NODE_ENV.
const config = loadConfig({ ...settings, ...process.env, NODE_ENV: 'development' })
const database = await openConfiguredDatabase(config, { onError: console.error })
await database.migrate()
const app = await buildApp(config, { database })
const proxy = await startFaultProxy(await listen(app.http))
const browser = await startChromium()
const variants = [
  ['light', { viewport: { width: 1000, height: 800 }, colorScheme: 'light' }],
  ['dark', { viewport: { width: 1000, height: 800 }, colorScheme: 'dark' }],
  ['phone', { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true }],
] as const
for (const [variant, options] of variants) if (!only || only === variant) await take(variant, options)
await browser.close()
await proxy.close()
app.http.server.closeAllConnections()
await app.stop()
await database.close()
await rm(dataDir, { recursive: true, force: true })
await rm(files, { recursive: true, force: true })
process.exit()

async function take(variant: 'light' | 'dark' | 'phone', options: BrowserContextOptions): Promise<void> {
  const context = await browser.newContext({ ...options, reducedMotion: 'reduce' })
  const empty = await context.newPage()
  await empty.goto(`${proxy.endpoint}/`)
  await empty.getByRole('heading', { name: 'Sign in' }).waitFor()
  await shoot(empty, variant, 'sign-in')
  await empty.goto(`${proxy.endpoint}/#code=used`)
  await empty.getByRole('alert').waitFor()
  await shoot(empty, variant, 'sign-in-link-used')
  await empty.close()

  const user = { light: 'ann', dark: 'ben', phone: 'cleo' }[variant]
  await context.addInitScript(storeTokenScript(await signToken(app.secret, userOf(user, 'creator'), 600)))
  const page = await open(context.newPage())
  await shoot(page, variant, 'empty')

  await choose(page, [
    await file('שלום עולם חשבונית מספר 2026-04 לקוח ראשי.pdf', MiB),
    await file('تقرير الربع الثالث النهائي للمشروع الكبير جدا.docx', MiB),
    await file('Übersicht von 報告書 и отчёт за квартал, an English name that is long enough to be cut.pdf', MiB),
    await file('photo\u202egpj.exe', 3000),
  ])
  await page.getByRole('heading', { name: '4 files uploaded' }).waitFor()
  await page.waitForTimeout(700)
  await shoot(page, variant, 'scripts')
  await writeFile(join(folder, `scripts-${variant}-tree.txt`), await page.locator('.rows').ariaSnapshot())

  proxy.set({ rate: 3 * MiB })
  await choose(page, [await file('Concert, the whole evening.mp4', 60 * MiB), await file('IMG_2071.mov', 24 * MiB)])
  await choose(page, [await file('Lecture 12.mp4', 40 * MiB)])
  await page.waitForTimeout(4000)
  await shoot(page, variant, 'sending')
  const second = await open(context.newPage())
  await second.getByText('in another tab').first().waitFor({ timeout: 15_000 })
  await shoot(second, variant, 'second-tab')
  await second.close()
  await page.getByRole('button', { name: 'Cancel all' }).click()
  await page.locator('.round .button.is-bad').click()
  proxy.set({ rate: 6 * MiB })

  const shots = join(files, `Holiday ${variant}`)
  await mkdir(shots, { recursive: true })
  for (let number = 1; number <= 200; number++) await writeFile(join(shots, `IMG_${number}.txt`), randomBytes(90_000))
  await page.locator('input[webkitdirectory]').setInputFiles(shots)
  await page.waitForTimeout(3000)
  await shoot(page, variant, 'folder-200')
  await page.locator('.fold').first().click()
  await page.waitForTimeout(300)
  await shoot(page, variant, 'folder-200-open')
  proxy.set({})
  await page.getByRole('heading', { name: '200 files uploaded' }).waitFor({ timeout: 120_000 })

  const limited = await browser.newContext({ ...options, reducedMotion: 'reduce' })
  await limited.addInitScript(
    storeTokenScript(await signToken(app.secret, userOf(`sub-${variant}`, 'subscriber'), 600)),
  )
  const other = await open(limited.newPage())
  await choose(other, [
    await file('holiday.mp4', 3000),
    await file('huge.png', 201 * MiB),
    await file('fine.pdf', 3000),
  ])
  await other.getByText('may not send').first().waitFor()
  await other.waitForTimeout(500)
  await shoot(other, variant, 'refused')
  await limited.close()
  await context.close()
}

async function open(opening: Promise<Page>): Promise<Page> {
  const page = await opening
  page.on('console', (message) => console.error(message.text()))
  page.on('pageerror', (error) => console.error(String(error)))
  page.on('dialog', (dialog) => void dialog.accept())
  await page.goto(`${proxy.endpoint}/`)
  await page.locator('.badge').waitFor()
  return page
}

async function choose(page: Page, paths: string[]): Promise<void> {
  await page.locator('input[multiple]').setInputFiles(paths)
}

async function file(name: string, size: number): Promise<string> {
  const path = join(files, name)
  const heads: [string, Buffer][] = [
    ['.pdf', Buffer.from('%PDF-1.7\n')],
    ['', Buffer.alloc(0)],
  ]
  const [, head] = heads.find(([ending]) => name.endsWith(ending))!
  await writeFile(path, Buffer.concat([head, randomBytes(Math.min(size, MiB))]))
  await truncate(path, size)
  return path
}

async function shoot(page: Page, variant: string, name: string): Promise<void> {
  const width = (await page.evaluate('document.documentElement.scrollWidth')) as number
  if (width > page.viewportSize()!.width) console.error(`${variant} ${name} is ${width} wide`)
  await page.screenshot({ path: join(folder, `${name}-${variant}.png`) })
}
