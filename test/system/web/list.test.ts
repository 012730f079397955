import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname } from 'node:path'
import type { Page } from 'playwright-core'
import { describe, expect, it, onTestFinished } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { signToken } from '../../../src/http/identity/secret.ts'
import { storeTokenScript } from './browser.ts'
import { openPage, rowOf, waitForRow, waitUntilSent } from './open-page.ts'
import { useBrowser } from './use-browser.ts'

const MiB = 1024 ** 2

const browser = useBrowser()

describe('names', () => {
  it.each([
    ['Arabic', 'تقرير الربع الثالث النهائي للمشروع الكبير جدا النسخة الأخيرة.docx'],
    ['Hebrew', 'שלום עולם חשבונית מספר 2026-04 לקוח ראשי מאוד ארוך.pdf'],
    ['emoji', `${'a😀'.repeat(40)}x.txt`],
    ['mixed', `${'Übersicht 報告書 отчёт שלום '.repeat(4)}.txt`],
  ])('in %s are complete for screen readers, find and copy', async (_, name) => {
    const { page, drop, fileOf } = await openPage(browser(), { viewport: { width: 360, height: 740 } })

    await drop(await fileOf(name, randomBytes(10)))
    await waitForRow(page, name, 'completed')

    const nodes = '[...document.querySelector(".name-text").childNodes].map((node) => [node.nodeType, node.data])'
    expect(await page.evaluate(nodes)).toEqual([[3, name]])
    const tree = await rowOf(page, name).ariaSnapshot()
    expect(tree).toContain(name.replace(/\s+/g, ' '))
    expect(tree).not.toContain('…')
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
  })

  it('show characters that would reverse their direction', async () => {
    const { page, drop, fileOf } = await openPage(browser())

    await drop(await fileOf('photo\u202egpj.exe', randomBytes(10)))

    await waitForRow(page, 'photo⟨U+202E⟩gpj.exe', 'completed')
    await page.getByRole('button', { name: 'Delete photo⟨U+202E⟩gpj.exe' }).waitFor()
  })
})

describe('a folder', () => {
  it('of thousands of files is one line; only visible lines are rendered', async () => {
    const { page } = await openPage(browser())
    await page.getByText('No uploads yet').waitFor()
    await page.route('**/files', () => {})

    await addFolder(page, 5000)
    await page.getByRole('heading', { name: 'Uploading 5,000 files' }).waitFor()
    expect(await page.locator('.row').count()).toBe(1)
    await page.getByRole('button', { name: 'many', exact: true }).click()
    await rowOf(page, 'file 1.txt').first().waitFor()
    expect(await page.locator('.row').count()).toBeLessThan(100)
    await page.evaluate('scrollTo(0, document.body.scrollHeight)')

    await rowOf(page, 'file 5000.txt').waitFor()
    expect(await page.locator('.row').count()).toBeLessThan(100)
    expect(await rowOf(page, 'file 5000.txt').getAttribute('aria-posinset')).toBe('5001')
  })

  it('is cancelled as a whole, and none of its files starts meanwhile', async () => {
    const { page, app, user } = await openPage(browser())
    await page.getByText('No uploads yet').waitFor()
    let creations = 0
    await page.route('**/files', () => void creations++)
    await addFolder(page, 200)
    await expect.poll(() => creations).toBe(3)

    await page.getByRole('button', { name: 'Cancel all' }).click()
    await page.getByRole('button', { name: 'Cancel 200 files' }).click()

    await page.getByText('No uploads yet').waitFor()
    expect(creations).toBe(3)
    expect(await app.engine.list(userOf(user, 'creator'), { limit: 1 })).toEqual([])
  })

  it('is retried as a whole', async () => {
    const { page } = await openPage(browser())
    await page.getByText('No uploads yet').waitFor()
    await page.route('**/files', (route) => route.fulfill({ status: 501 }))
    await addFolder(page, 3)
    await page.getByRole('heading', { name: '3 files failed' }).waitFor()
    await page.unroute('**/files')

    await page.getByRole('button', { name: 'Retry all' }).click()

    await page.getByRole('heading', { name: '3 files uploaded' }).waitFor()
  })

  it('is one line again after a reload', async () => {
    const { page, drop, fileOf } = await openPage(browser())
    const folder = `${dirname(await fileOf('README', Buffer.alloc(0)))}/holiday`
    await mkdir(folder)
    for (const name of ['one', 'two', 'three']) await fileOf(`holiday/${name}.txt`, randomBytes(10))
    await drop(folder)
    await page.getByRole('heading', { name: '3 files uploaded' }).waitFor()

    await page.reload()

    await rowOf(page, 'holiday').getByText('3 files').waitFor()
    expect(await page.locator('.row').count()).toBe(1)
  })
})

describe('progress', () => {
  it('is never more than the server has confirmed', async () => {
    const { page, proxy, drop, fileOf, app, user } = await openPage(browser())
    proxy.set({ rate: 4 * MiB })
    await drop(await fileOf('film.mp4', randomBytes(16 * MiB)))
    await waitUntilSent({ page, proxy }, 2 * MiB)

    const shown: number[] = []
    const look = async () => {
      const value = await page.evaluate('Number(document.querySelector(".row progress")?.value ?? 0)')
      const [upload] = await app.engine.list(userOf(user, 'creator'), { limit: 1 })
      expect(value).toBeLessThanOrEqual(upload!.offset)
      shown.push(value as number)
      return value as number
    }
    await expect.poll(look, { timeout: 20_000, interval: 50 }).toBeGreaterThan(4 * MiB)
    proxy.set({})
    await waitForRow(page, 'film.mp4', 'completed')
  })
})

describe('an upload that another tab or device sends', () => {
  it('in another tab is shown as such, and resumes here when that tab is closed', async () => {
    const { page, proxy, drop, fileOf, requests, stored } = await openPage(browser())
    const bytes = randomBytes(24 * MiB)
    const path = await fileOf('film.mp4', bytes)
    proxy.set({ rate: 2 * MiB })
    await drop(path)
    await waitUntilSent({ page, proxy }, 2 * MiB)
    const second = await page.context().newPage()
    const writes: string[] = []
    second.on('request', (sent) => sent.method() === 'PATCH' && writes.push(sent.url()))
    await second.addInitScript(
      storeTokenScript((await page.evaluate("sessionStorage.getItem('landfall:token')")) as string),
    )
    await second.goto(page.url())

    await second.getByText('Uploading in another tab').waitFor()
    expect(await second.getByText('Choose the same file again').count()).toBe(0)
    await second.locator('input[multiple]').setInputFiles(path)
    await second.getByRole('button', { name: 'Stop waiting for film.mp4' }).waitFor()
    expect(writes).toEqual([])
    proxy.set({})
    await page.close()
    await waitForRow(second, 'film.mp4', 'completed')

    expect(requests.filter(({ method }) => method === 'POST')).toHaveLength(1)
    expect((await stored()).equals(bytes)).toBe(true)
  })

  it('on another device is shown as such, and does not ask for the file', async () => {
    const { page, proxy, drop, fileOf, app, user } = await openPage(browser())
    proxy.set({ rate: 2 * MiB })
    await drop(await fileOf('film.mp4', randomBytes(24 * MiB)))
    await waitUntilSent({ page, proxy }, 2 * MiB)
    const device = await browser().newContext()
    onTestFinished(() => device.close())
    await device.addInitScript(storeTokenScript(await signToken(app.secret, userOf(user, 'creator'), 600)))
    const other = await device.newPage()
    await other.goto(page.url())

    await other.getByText('Uploading on another device').waitFor()

    expect(await other.getByText('Choose the same file again').count()).toBe(0)
  })
})

describe('a sign-in link', () => {
  it('signs in, and its code is removed from the URL at once', async () => {
    const { page, app, user, proxy } = await openPage(browser(), { isSignedIn: false })
    const token = await signToken(app.secret, userOf(user, 'creator'), 600)
    const codes: unknown[] = []
    await page.route('**/v1/dev/sign-in', async (route) => {
      codes.push(route.request().postDataJSON())
      await route.fulfill({ json: { token, user, role: 'creator', expiresAt: new Date().toISOString() } })
    })

    await page.goto(`${proxy.endpoint}/#code=one-time`)
    await page.locator('.badge', { hasText: user }).waitFor()

    expect(codes).toEqual([{ code: 'one-time' }])
    expect(page.url()).toBe(`${proxy.endpoint}/`)
  })

  it('that was used already shows an error and the form for a token', async () => {
    const { page, proxy } = await openPage(browser(), { isSignedIn: false })
    const error = { code: 'UNAUTHENTICATED', message: 'used', timestamp: '' }
    await page.route('**/v1/dev/sign-in', (route) => route.fulfill({ status: 401, json: { error } }))

    await page.goto(`${proxy.endpoint}/#code=used`)

    await page.getByRole('alert').getByText('This sign-in link was used already or has expired.').waitFor()
    await page.getByLabel('Token', { exact: true }).waitFor()
    expect(page.url()).toBe(`${proxy.endpoint}/`)
  })
})

describe('below a path', () => {
  it('the page loads, signs in and uploads', async () => {
    const { page, proxy, fileOf, pageErrors } = await openPage(browser())
    const pathProxy = createServer((from, to) => {
      const { port } = new URL(proxy.endpoint)
      const path = from.url!.replace(/^\/some\/path/, '')
      const forwarded = request({ port, path, method: from.method, headers: from.headers }, (answer) => {
        const { location } = answer.headers
        const headers = { ...answer.headers, ...(location?.startsWith('/') && { location: `/some/path${location}` }) }
        to.writeHead(answer.statusCode!, headers)
        answer.pipe(to)
      })
      from.pipe(forwarded)
    })
    await new Promise<void>((resolve) => pathProxy.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      pathProxy.closeAllConnections()
      pathProxy.close()
    })
    const token = (await page.evaluate("sessionStorage.getItem('landfall:token')")) as string
    const below = `http://127.0.0.1:${(pathProxy.address() as AddressInfo).port}/some/path/`
    await page.addInitScript(storeTokenScript(token))

    await page.goto(below)
    await page.locator('.badge').waitFor()
    await page.locator('input[multiple]').setInputFiles(await fileOf('notes.txt', randomBytes(100)))
    await waitForRow(page, 'notes.txt', 'completed')
    await page.goto(`${below}admin`)

    await page.getByRole('heading', { name: 'Sign in to Admin' }).waitFor()
    expect(pageErrors).toEqual([])
  })
})

/** Adds a folder of `count` small files to the page, without files on disk. */
async function addFolder(page: Page, count: number): Promise<void> {
  await page.evaluate(`{
    const input = document.querySelector('input[webkitdirectory]')
    const data = new DataTransfer()
    for (let number = 1; number <= ${count}; number++) {
      const file = new File(['x'], 'file ' + number + '.txt', { type: 'text/plain', lastModified: number })
      data.items.add(file)
    }
    const files = [...data.files].map((file) => Object.defineProperty(file, 'webkitRelativePath', { value: 'many/' + file.name }))
    Object.defineProperty(input, 'files', { value: files, configurable: true })
    Object.defineProperty(input, 'value', { set() {}, configurable: true })
    input.dispatchEvent(new Event('change'))
  }`)
}
