import { randomBytes } from 'node:crypto'
import { mkdir, truncate, utimes } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { signToken } from '../../../src/http/identity/secret.ts'
import { until } from '../../support/until.ts'
import { expectNothingSentTwice, openPage, rowOf, waitForRow, waitUntilSent } from './open-page.ts'
import { useBrowser } from './use-browser.ts'

const MiB = 1024 ** 2

const browser = useBrowser()

describe('the page', () => {
  it('uploads a dropped file, and lists it once', async () => {
    const { page, drop, fileOf, stored, pageErrors } = await openPage(browser())
    const bytes = Buffer.concat([Buffer.from('%PDF-1.7\n'), randomBytes(MiB)])
    await page.getByText('Any file up to 10 GiB').waitFor()

    await drop(await fileOf('Übersicht 2026.pdf', bytes))
    await waitForRow(page, 'Übersicht 2026.pdf', 'completed')

    await rowOf(page, 'Übersicht 2026.pdf').locator('time').waitFor()
    expect(await rowOf(page, 'Übersicht 2026.pdf').count()).toBe(1)
    // The page must not show the object key.
    expect(await page.getByText('/document/').count()).toBe(0)
    expect((await stored()).equals(bytes)).toBe(true)
    expect(pageErrors).toEqual([])
  })

  it('uploads several files at once', async () => {
    const { page, drop, fileOf, app, user } = await openPage(browser())
    const names = ['a.txt', 'b.txt', 'c.txt', 'd.txt', 'e.txt']
    const paths = await Promise.all(names.map((name) => fileOf(name, randomBytes(1000))))

    await drop(...paths)
    await page.getByRole('heading', { name: '5 files uploaded' }).waitFor()

    const uploads = await app.engine.list(userOf(user, 'creator'), { limit: 10 })
    expect(uploads.map(({ filename }) => filename).sort()).toEqual(names)
  })

  it('uploads every file of a folder, also those that differ only in their path', async () => {
    const { page, drop, fileOf, app, user } = await openPage(browser())
    const folder = `${dirname(await fileOf('README', Buffer.alloc(0)))}/code`
    for (const path of ['code/a', 'code/b']) {
      await mkdir(`${folder}/../${path}`, { recursive: true })
      await utimes(await fileOf(`${path}/__init__.py`, Buffer.alloc(0)), 1, 1)
    }

    await drop(folder)
    await page.getByRole('heading', { name: '2 files uploaded' }).waitFor()

    const uploads = await app.engine.list(userOf(user, 'creator'), { limit: 10 })
    expect(uploads.map(({ metadata }) => relativePathIn(metadata)).sort()).toEqual([
      'code/a/__init__.py',
      'code/b/__init__.py',
    ])
  })

  it('uploads pasted files', async () => {
    const { page } = await openPage(browser())

    await page.evaluate(`{
      const data = new DataTransfer()
      data.items.add(new File(['hello'], 'pasted.txt', { type: 'text/plain' }))
      document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }))
    }`)

    await waitForRow(page, 'pasted.txt', 'completed')
  })

  it('says that it waits for the network, and resumes when it is back', async () => {
    const { page, drop, fileOf, proxy, requests, stored } = await openPage(browser())
    const bytes = randomBytes(24 * MiB)
    proxy.set({ rate: 12 * MiB })

    await drop(await fileOf('film.mp4', bytes))
    await waitUntilSent({ page, proxy }, 6 * MiB)
    proxy.set({ refuse: true })
    await page.context().setOffline(true)
    proxy.cutAll()
    await rowOf(page, 'film.mp4').getByText('Waiting for the network, resumes automatically').waitFor()
    proxy.set({})
    await page.context().setOffline(false)
    await waitForRow(page, 'film.mp4', 'completed')

    expectNothingSentTwice(requests)
    expect((await stored()).equals(bytes)).toBe(true)
  })

  it('resumes where it stopped when the file is dropped again after a reload', async () => {
    const { page, drop, fileOf, proxy, requests, stored } = await openPage(browser())
    const bytes = randomBytes(24 * MiB)
    const path = await fileOf('film.mp4', bytes)
    proxy.set({ rate: 12 * MiB })

    await drop(path)
    await waitUntilSent({ page, proxy }, 6 * MiB)
    await page.reload()
    await page.getByText('Choose the same file again to resume').waitFor()
    proxy.set({})
    await drop(path)
    await waitForRow(page, 'film.mp4', 'completed')

    await rowOf(page, 'film.mp4').getByText('resumed at').waitFor()
    expectNothingSentTwice(requests)
    expect((await stored()).equals(bytes)).toBe(true)
  })

  it('resumes in another browser with the same file, and refuses another one', async () => {
    const { page, drop, fileOf, proxy, requests, stored } = await openPage(browser())
    const bytes = randomBytes(24 * MiB)
    const path = await fileOf('film.mp4', bytes)
    const other = await fileOf('other.mp4', randomBytes(100))
    proxy.set({ rate: 12 * MiB })
    await drop(path)
    await waitUntilSent({ page, proxy }, 6 * MiB)
    await page.evaluate('localStorage.clear()')
    await page.reload()
    proxy.set({})

    const input = page.locator('.resume-form input')
    await input.setInputFiles(other)
    await page.getByText('This is another file').waitFor()
    await input.setInputFiles(path)
    await waitForRow(page, 'film.mp4', 'completed')

    expectNothingSentTwice(requests)
    expect((await stored()).equals(bytes)).toBe(true)
  })

  it('asks before it resumes an upload that only has the same name and size', async () => {
    const { page, drop, fileOf, proxy, requests } = await openPage(browser())
    const path = await fileOf('film.mp4', randomBytes(24 * MiB))
    proxy.set({ rate: 12 * MiB })
    await drop(path)
    await waitUntilSent({ page, proxy }, 6 * MiB)
    await page.evaluate('localStorage.clear()')
    await page.reload()
    await page.getByText('Choose the same file again to resume').waitFor()
    proxy.set({})

    await drop(path)
    await page.getByText('Is it the same file, unchanged?').waitFor()
    await page.getByRole('button', { name: 'No, upload it as another file film.mp4' }).click()
    await waitForRow(page, 'film.mp4', 'completed')

    expect(requests.filter(({ method }) => method === 'POST')).toHaveLength(2)
  })

  it('pauses, resumes and cancels', async () => {
    const { page, drop, fileOf, proxy, requests, app, user } = await openPage(browser())
    const [film, song] = await Promise.all([
      fileOf('film.mp4', randomBytes(16 * MiB)),
      fileOf('song.mp3', randomBytes(16 * MiB)),
    ])
    proxy.set({ rate: 8 * MiB })

    await drop(film, song)
    await page.getByRole('button', { name: 'Pause film.mp4' }).click()
    await waitForRow(page, 'film.mp4', 'paused')
    await page.getByRole('button', { name: 'Cancel song.mp3' }).click()
    await rowOf(page, 'song.mp3').waitFor({ state: 'detached' })
    proxy.set({})
    await page.getByRole('button', { name: 'Resume film.mp4' }).click()
    await waitForRow(page, 'film.mp4', 'completed')

    const uploads = await app.engine.list(userOf(user, 'creator'), { limit: 10 })
    const states = Object.fromEntries(uploads.map(({ filename, state }) => [filename, state]))
    expect(states['film.mp4']).toBe('completed')
    expect(states['song.mp3'] ?? 'cancelled').toBe('cancelled')
    expect(requests.filter(({ method }) => method === 'DELETE').length).toBeLessThanOrEqual(1)
  })

  it('says what a role may not upload', async () => {
    const { page, drop, fileOf, app } = await openPage(browser(), { role: 'subscriber' })
    const huge = await fileOf('huge.png', Buffer.alloc(0))
    await truncate(huge, 201 * MiB)

    await page.getByText('Images and documents up to 200 MiB').waitFor()
    await drop(huge, await fileOf('song.mp3', randomBytes(100)))

    await rowOf(page, 'huge.png').getByText('A subscriber may send at most 200 MiB. This file has 201 MiB.').waitFor()
    await rowOf(page, 'song.mp3').getByText('A subscriber may not send files of type audio/mpeg.').waitFor()
    expect(app.store.objects.size).toBe(0)
  })

  it('asks for a new token when the old one expires, and resumes', async () => {
    const { page, drop, fileOf, proxy, requests, app, user, stored } = await openPage(browser())
    const bytes = randomBytes(24 * MiB)
    proxy.set({ rate: 6 * MiB })
    await drop(await fileOf('film.mp4', bytes))
    await waitUntilSent({ page, proxy }, 12 * MiB)

    const expired = { error: { code: 'UNAUTHENTICATED', message: 'The token has expired.', timestamp: '' } }
    await page.route('**/files/**', (route) => route.fulfill({ status: 401, json: expired }))
    proxy.cutAll()
    await page.getByRole('heading', { name: 'Sign in again' }).waitFor()
    await waitForRow(page, 'film.mp4', 'unauthorized')
    await page.unroute('**/files/**')
    proxy.set({})
    await signIn(page, await signToken(app.secret, userOf(user, 'creator'), 600))
    await waitForRow(page, 'film.mp4', 'completed')

    expect(requests.filter(({ method }) => method === 'POST')).toHaveLength(1)
    expect((await stored()).equals(bytes)).toBe(true)
  })

  it('works where the browser denies storage', async () => {
    const { page, drop, fileOf, app, user, pageErrors } = await openPage(browser())
    await page.addInitScript(`for (const name of ['localStorage', 'sessionStorage'])
      Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError') } })`)
    await page.reload()

    await signIn(page, await signToken(app.secret, userOf(user, 'creator'), 600))
    await drop(await fileOf('notes.txt', randomBytes(100)))

    await waitForRow(page, 'notes.txt', 'completed')
    expect(pageErrors).toEqual([])
  })

  it('adds older uploads once after a double click', async () => {
    const { page } = await openPage(browser())
    await page.route('**/v1/uploads?*', async (route) => {
      const isOlder = new URL(route.request().url()).searchParams.has('before')
      if (isOlder) await new Promise((resolve) => setTimeout(resolve, 300))
      const json = {
        uploads: [isOlder ? listedAs('older.txt', 1) : listedAs('newer.txt', 2)],
        next: isOlder ? null : 'newer.txt',
      }
      await route.fulfill({ json })
    })
    await page.getByRole('button', { name: 'Refresh' }).click()

    await page.getByRole('button', { name: 'Show older' }).dblclick()
    await page.locator('.row', { hasText: 'older.txt' }).first().waitFor()
    await page.waitForTimeout(200)

    expect(await page.locator('.row .name').allTextContents()).toEqual(['newer.txt', 'older.txt'])
  })

  it('keeps the uploads of one user apart from those of the next', async () => {
    const { page, drop, fileOf, proxy, app, user } = await openPage(browser())
    const names = ['a.mp4', 'b.mp4', 'c.mp4', 'd.mp4', 'e.mp4']
    const paths = await Promise.all(names.map((name) => fileOf(name, randomBytes(8 * MiB))))
    await drop(await fileOf('diary.txt', randomBytes(100)))
    await waitForRow(page, 'diary.txt', 'completed')
    proxy.set({ rate: 2 * MiB })
    await drop(...paths)
    await waitForRow(page, 'a.mp4', 'sending')
    await waitForRow(page, 'e.mp4', 'queued')
    const uploads = async () => (await app.engine.list(userOf(user, 'creator'), { limit: 10 })).length
    // The diary, and the three files that are sent at the same time.
    await until(async () => (await uploads()) === 4)

    await page.locator('.badge').click()
    await page.getByText('Sign in with another token').click()
    await signIn(page, await signToken(app.secret, userOf(`${user}-grace`, 'creator'), 600), 'dialog')
    proxy.set({})
    await page.getByText('No uploads yet').waitFor()
    await drop(await fileOf('hers.txt', randomBytes(100)))
    await waitForRow(page, 'hers.txt', 'completed')

    expect(await page.locator('.row').count()).toBe(1)
    const hers = await app.engine.list(userOf(`${user}-grace`, 'creator'), { limit: 10 })
    expect(hers.map(({ filename }) => filename)).toEqual(['hers.txt'])
    expect(await uploads()).toBe(4)
  })

  it('removes all data on sign-out', async () => {
    const { page, drop, fileOf } = await openPage(browser())
    await drop(await fileOf('diary.txt', randomBytes(100)))
    await waitForRow(page, 'diary.txt', 'completed')

    await page.locator('.badge').click()
    await page.getByRole('button', { name: 'Sign out' }).click()

    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    expect(await page.locator('.row').count()).toBe(0)
    expect(
      await page.evaluate("sessionStorage.getItem('landfall:token') ?? localStorage.getItem('landfall:token')"),
    ).toBe(null)
  })

  it('shows an error when the next token is not accepted either', async () => {
    const { page } = await openPage(browser())
    await page.locator('.badge').waitFor()
    await page.route('**/v1/uploads?*', (route) => route.fulfill({ status: 401 }))
    await page.getByRole('button', { name: 'Refresh' }).click()
    await page.getByRole('heading', { name: 'Sign in again' }).waitFor()

    await signIn(page, 'nonsense')

    await page.getByRole('alert').getByText('The server does not accept the token.').waitFor()
  })

  it('sends no pasted token before the server has accepted it', async () => {
    const { page } = await openPage(browser())
    const tokens: string[] = []
    await page.route('**/v1/me', async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 500))
      await route.continue()
    })
    page.on('request', (request) => {
      if (request.url().includes('/v1/uploads')) tokens.push(request.headers()['authorization']!)
    })
    await page.getByText('No uploads yet').waitFor()
    await page.locator('.badge').click()
    await page.getByText('Sign in with another token').click()
    await page.getByLabel('Token', { exact: true }).fill('nonsense')
    await page.getByRole('button', { name: 'Sign in' }).click()

    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await page.getByRole('alert').getByText('The server does not accept the token.').first().waitFor()

    expect(tokens.length).toBeGreaterThan(0)
    expect(tokens).not.toContain('Bearer nonsense')
    expect(await page.locator('.badge').count()).toBe(1)
  })

  it('uploads the readable files of a folder with an unreadable one', async () => {
    const { page, drop, fileOf } = await openPage(browser())
    const folder = `${dirname(await fileOf('README', Buffer.alloc(0)))}/mixed`
    await mkdir(folder)
    await fileOf('mixed/good.txt', randomBytes(10))
    await fileOf('mixed/locked.txt', randomBytes(10))
    // Tests may run as root, who can read every file on disk.
    await page.evaluate(`{
      const file = { value: (_, reject) => reject(new DOMException('denied', 'NotReadableError')) }
      const lock = (entry) => (entry.name === 'locked.txt' ? Object.defineProperty(entry, 'file', file) : entry)
      const { webkitGetAsEntry } = DataTransferItem.prototype
      DataTransferItem.prototype.webkitGetAsEntry = function () {
        const entry = webkitGetAsEntry.call(this)
        const reader = entry.createReader()
        const readEntries = (resolve, reject) => reader.readEntries((all) => resolve(all.map(lock)), reject)
        return Object.defineProperty(entry, 'createReader', { value: () => ({ readEntries }) })
      }
    }`)

    await drop(folder)

    await page.getByRole('button', { name: 'mixed', exact: true }).click()
    await waitForRow(page, 'good.txt', 'completed')
    await waitForRow(page, 'locked.txt', 'failed')
    await rowOf(page, 'locked.txt').getByText('The file can no longer be read').waitFor()
  })

  it('can be used with the keyboard alone', async () => {
    const { page, fileOf, app, user } = await openPage(browser())
    const path = await fileOf('notes.txt', randomBytes(2000))
    await page.locator('.badge').waitFor()
    const focused = () =>
      page.evaluate(
        'document.querySelector(":focus")?.ariaLabel ?? document.querySelector(":focus")?.innerText ?? ""',
      ) as Promise<string>
    const tabTo = async (text: RegExp) => {
      for (let step = 0; step < 30; step++) {
        await page.keyboard.press('Tab')
        if (text.test(await focused())) return
      }
      throw new Error(`no element with ${text} can be reached by Tab`)
    }

    // Before the key press: the listener must exist when the file dialog opens.
    const dialog = page.waitForEvent('filechooser')
    await tabTo(/Drop files here/)
    await page.keyboard.press('Enter')
    await (await dialog).setFiles(path)
    await waitForRow(page, 'notes.txt', 'completed')
    await page.getByRole('status').getByText('notes.txt: upload completed.').waitFor({ state: 'attached' })
    await tabTo(/Delete notes.txt/)
    await page.keyboard.press('Space')
    await expect.poll(focused).toBe('Delete')
    await page.keyboard.press('Enter')
    await page.getByText('No uploads yet').waitFor()
    await expect.poll(focused).toBe('Uploads')

    const [upload] = await app.engine.list(userOf(user, 'creator'), { limit: 1 })
    expect(upload?.state ?? 'cancelled').toBe('cancelled')
  })

  it.each(['light', 'dark'] as const)('fits a phone in %s', async (colorScheme) => {
    const { page, drop, fileOf, pageErrors } = await openPage(browser(), {
      viewport: { width: 360, height: 740 },
      colorScheme,
    })
    const long = `${'a very long name of a file that is cut in the middle '.repeat(4)}.txt`

    await drop(await fileOf(long, randomBytes(100)))
    await waitForRow(page, 'a very long name', 'completed')
    await page.locator('.row').first().waitFor()

    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
    const names = page.locator('.row .name, .card .name')
    for (const name of await names.all()) {
      const box = (await name.boundingBox())!
      expect(box.x + box.width).toBeLessThan(360)
    }
    expect(pageErrors).toEqual([])
  })

  it('has a Content-Security-Policy without inline scripts and other hosts', async () => {
    const { page, pageErrors } = await openPage(browser())
    const foreign: string[] = []
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== new URL(page.url()).origin) foreign.push(request.url())
    })

    const response = await page.reload()
    await page.getByRole('heading', { name: 'Uploads' }).waitFor()

    const policy = response!.headers()['content-security-policy']!
    expect(policy).not.toMatch(/unsafe|\*|https?:/)
    expect(foreign).toEqual([])
    expect(pageErrors).toEqual([])
  })
})

/** Signs in with a pasted token, in the element `container`. */
async function signIn(page: Page, token: string, container = 'main'): Promise<void> {
  await page.locator(container).getByLabel('Token', { exact: true }).fill(token)
  await page.locator(container).getByRole('button', { name: 'Sign in' }).click()
}

/** The relative path in tus metadata. */
function relativePathIn(metadata: string | null): string {
  const [, path = ''] = /relativePath ([^,]+)/.exec(metadata ?? '') ?? []
  return Buffer.from(path, 'base64').toString()
}

/** A completed upload as the server lists it. */
function listedAs(filename: string, day: number) {
  const at = new Date(day * 86_400_000).toISOString()
  const upload = { id: filename, url: `/files/${filename}`, filename, contentType: 'text/plain', category: 'document' }
  const times = { createdAt: at, updatedAt: at, completedAt: at, expiresAt: null }
  return {
    ...upload,
    ...times,
    size: 1,
    offset: 1,
    state: 'completed',
    live: false,
    relativePath: null,
    batch: null,
    failure: null,
  }
}
