import { randomBytes } from 'node:crypto'
import { mkdir, truncate, utimes } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { signToken } from '../../../src/http/identity/secret.ts'
import { expectNothingSentTwice, openPage, rowIs, rowOf, sentMoreThan } from './open-page.ts'
import { useBrowser } from './use-browser.ts'

const MiB = 1024 ** 2

const browser = useBrowser()

describe('the page', () => {
  it('sends what is dropped on it, and lists it once', async () => {
    const { page, drop, fileOf, stored, complaints } = await openPage(browser())
    const bytes = Buffer.concat([Buffer.from('%PDF-1.7\n'), randomBytes(MiB)])
    await page.getByText('Any file up to 10 GiB').waitFor()

    await drop(await fileOf('Übersicht 2026.pdf', bytes))
    await rowIs(page, 'Übersicht 2026.pdf', 'completed')

    await rowOf(page, 'Übersicht 2026.pdf').locator('time').waitFor()
    expect(await rowOf(page, 'Übersicht 2026.pdf').count()).toBe(1)
    // The name of the object in the store is nothing to users.
    expect(await page.getByText('/document/').count()).toBe(0)
    expect((await stored()).equals(bytes)).toBe(true)
    expect(complaints).toEqual([])
  })

  it('sends several files at once', async () => {
    const { page, drop, fileOf, app, user } = await openPage(browser())
    const names = ['a.txt', 'b.txt', 'c.txt', 'd.txt', 'e.txt']
    const paths = await Promise.all(names.map((name) => fileOf(name, randomBytes(1000))))

    await drop(...paths)
    await page.getByRole('heading', { name: '5 files uploaded' }).waitFor()

    const uploads = await app.engine.list(userOf(user, 'creator'), { limit: 10 })
    expect(uploads.map(({ filename }) => filename).sort()).toEqual(names)
  })

  it('sends every file of a dropped folder, also those that differ by their place alone', async () => {
    const { page, drop, fileOf, app, user } = await openPage(browser())
    const folder = `${dirname(await fileOf('README', Buffer.alloc(0)))}/code`
    for (const place of ['code/a', 'code/b']) {
      await mkdir(`${folder}/../${place}`, { recursive: true })
      await utimes(await fileOf(`${place}/__init__.py`, Buffer.alloc(0)), 1, 1)
    }

    await drop(folder)
    await page.getByRole('heading', { name: '2 files uploaded' }).waitFor()

    const uploads = await app.engine.list(userOf(user, 'creator'), { limit: 10 })
    expect(uploads.map(({ metadata }) => placeIn(metadata)).sort()).toEqual([
      'code/a/__init__.py',
      'code/b/__init__.py',
    ])
  })

  it('takes what is pasted', async () => {
    const { page } = await openPage(browser())

    await page.evaluate(`{
      const data = new DataTransfer()
      data.items.add(new File(['hello'], 'pasted.txt', { type: 'text/plain' }))
      document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }))
    }`)

    await rowIs(page, 'pasted.txt', 'completed')
  })

  it('says that it waits for the network, and goes on by itself when it is back', async () => {
    const { page, drop, fileOf, wire, seen, stored } = await openPage(browser())
    const bytes = randomBytes(24 * MiB)
    wire.set({ rate: 12 * MiB })

    await drop(await fileOf('film.mp4', bytes))
    await sentMoreThan({ page, wire }, 6 * MiB)
    wire.set({ refuse: true })
    await page.context().setOffline(true)
    wire.cutAll()
    await rowOf(page, 'film.mp4').getByText('Waiting for the network, resumes by itself').waitFor()
    wire.set({})
    await page.context().setOffline(false)
    await rowIs(page, 'film.mp4', 'completed')

    expectNothingSentTwice(seen)
    expect((await stored()).equals(bytes)).toBe(true)
  })

  it('goes on where it stopped when the file is dropped again after a reload', async () => {
    const { page, drop, fileOf, wire, seen, stored } = await openPage(browser())
    const bytes = randomBytes(24 * MiB)
    const path = await fileOf('film.mp4', bytes)
    wire.set({ rate: 12 * MiB })

    await drop(path)
    await sentMoreThan({ page, wire }, 6 * MiB)
    await page.reload()
    await page.getByText('Choose the same file again to resume').waitFor()
    wire.set({})
    await drop(path)
    await rowIs(page, 'film.mp4', 'completed')

    await rowOf(page, 'film.mp4').getByText('resumed at').waitFor()
    expectNothingSentTwice(seen)
    expect((await stored()).equals(bytes)).toBe(true)
  })

  it('goes on in another browser with the file that is chosen for an unfinished upload, and takes no other', async () => {
    const { page, drop, fileOf, wire, seen, stored } = await openPage(browser())
    const bytes = randomBytes(24 * MiB)
    const path = await fileOf('film.mp4', bytes)
    const other = await fileOf('other.mp4', randomBytes(100))
    wire.set({ rate: 12 * MiB })
    await drop(path)
    await sentMoreThan({ page, wire }, 6 * MiB)
    await page.evaluate('localStorage.clear()')
    await page.reload()
    wire.set({})

    const input = page.locator('.go-on input')
    await input.setInputFiles(other)
    await page.getByText('This is another file').waitFor()
    await input.setInputFiles(path)
    await rowIs(page, 'film.mp4', 'completed')

    expectNothingSentTwice(seen)
    expect((await stored()).equals(bytes)).toBe(true)
  })

  it('asks before it joins a file to an upload that only looks like its own', async () => {
    const { page, drop, fileOf, wire, seen } = await openPage(browser())
    const path = await fileOf('film.mp4', randomBytes(24 * MiB))
    wire.set({ rate: 12 * MiB })
    await drop(path)
    await sentMoreThan({ page, wire }, 6 * MiB)
    await page.evaluate('localStorage.clear()')
    await page.reload()
    await page.getByText('Choose the same file again to resume').waitFor()
    wire.set({})

    await drop(path)
    await page.getByText('Is it the same file, unchanged?').waitFor()
    await page.getByRole('button', { name: 'No, upload it as another file film.mp4' }).click()
    await rowIs(page, 'film.mp4', 'completed')

    expect(seen.filter(({ method }) => method === 'POST')).toHaveLength(2)
  })

  it('pauses, resumes and cancels', async () => {
    const { page, drop, fileOf, wire, seen, app, user } = await openPage(browser())
    const [film, song] = await Promise.all([
      fileOf('film.mp4', randomBytes(16 * MiB)),
      fileOf('song.mp3', randomBytes(16 * MiB)),
    ])
    wire.set({ rate: 8 * MiB })

    await drop(film, song)
    await page.getByRole('button', { name: 'Pause film.mp4' }).click()
    await rowIs(page, 'film.mp4', 'paused')
    await page.getByRole('button', { name: 'Cancel song.mp3' }).click()
    await rowOf(page, 'song.mp3').waitFor({ state: 'detached' })
    wire.set({})
    await page.getByRole('button', { name: 'Resume film.mp4' }).click()
    await rowIs(page, 'film.mp4', 'completed')

    const uploads = await app.engine.list(userOf(user, 'creator'), { limit: 10 })
    const states = Object.fromEntries(uploads.map(({ filename, state }) => [filename, state]))
    expect(states['film.mp4']).toBe('completed')
    expect(states['song.mp3'] ?? 'cancelled').toBe('cancelled')
    expect(seen.filter(({ method }) => method === 'DELETE').length).toBeLessThanOrEqual(1)
  })

  it('says in words what a role may not send', async () => {
    const { page, drop, fileOf, app } = await openPage(browser(), { role: 'subscriber' })
    const huge = await fileOf('huge.png', Buffer.alloc(0))
    await truncate(huge, 201 * MiB)

    await page.getByText('Images and documents up to 200 MiB').waitFor()
    await drop(huge, await fileOf('song.mp3', randomBytes(100)))

    await rowOf(page, 'huge.png').getByText('A subscriber may send at most 200 MiB. This file has 201 MiB.').waitFor()
    await rowOf(page, 'song.mp3').getByText('A subscriber may not send files of type audio/mpeg.').waitFor()
    expect(app.store.objects.size).toBe(0)
  })

  it('asks for a new token when the old one expires in the middle, and goes on where it was', async () => {
    const { page, drop, fileOf, wire, seen, app, user, stored } = await openPage(browser())
    const bytes = randomBytes(24 * MiB)
    wire.set({ rate: 6 * MiB })
    await drop(await fileOf('film.mp4', bytes))
    await sentMoreThan({ page, wire }, 12 * MiB)

    const expired = { error: { code: 'UNAUTHENTICATED', message: 'The token has expired.', timestamp: '' } }
    await page.route('**/files/**', (route) => route.fulfill({ status: 401, json: expired }))
    wire.cutAll()
    await page.getByRole('heading', { name: 'Sign in again' }).waitFor()
    await rowIs(page, 'film.mp4', 'unauthorized')
    await page.unroute('**/files/**')
    wire.set({})
    await signIn(page, await signToken(app.secret, userOf(user, 'creator'), 600))
    await rowIs(page, 'film.mp4', 'completed')

    expect(seen.filter(({ method }) => method === 'POST')).toHaveLength(1)
    expect((await stored()).equals(bytes)).toBe(true)
  })

  it('works where the browser lets it keep nothing', async () => {
    const { page, drop, fileOf, app, user, complaints } = await openPage(browser())
    await page.addInitScript(`for (const name of ['localStorage', 'sessionStorage'])
      Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError') } })`)
    await page.reload()

    await signIn(page, await signToken(app.secret, userOf(user, 'creator'), 600))
    await drop(await fileOf('notes.txt', randomBytes(100)))

    await rowIs(page, 'notes.txt', 'completed')
    expect(complaints).toEqual([])
  })

  it('adds older uploads once, however often one asks for them', async () => {
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

  it('shows nothing of one user to the next, and sends nothing of one with the token of the next', async () => {
    const { page, drop, fileOf, wire, app, user } = await openPage(browser())
    const names = ['a.mp4', 'b.mp4', 'c.mp4', 'd.mp4', 'e.mp4']
    const paths = await Promise.all(names.map((name) => fileOf(name, randomBytes(8 * MiB))))
    await drop(await fileOf('diary.txt', randomBytes(100)))
    await rowIs(page, 'diary.txt', 'completed')
    wire.set({ rate: 2 * MiB })
    await drop(...paths)
    await rowIs(page, 'a.mp4', 'sending')
    await rowIs(page, 'e.mp4', 'queued')
    const created = (await app.engine.list(userOf(user, 'creator'), { limit: 10 })).length

    await page.locator('.badge').click()
    await page.getByText('Sign in with another token').click()
    await signIn(page, await signToken(app.secret, userOf(`${user}-grace`, 'creator'), 600), 'dialog')
    wire.set({})
    await page.getByText('No uploads yet').waitFor()
    await drop(await fileOf('hers.txt', randomBytes(100)))
    await rowIs(page, 'hers.txt', 'completed')

    expect(await page.locator('.row').count()).toBe(1)
    const hers = await app.engine.list(userOf(`${user}-grace`, 'creator'), { limit: 10 })
    expect(hers.map(({ filename }) => filename)).toEqual(['hers.txt'])
    expect((await app.engine.list(userOf(user, 'creator'), { limit: 10 })).length).toBe(created)
  })

  it('forgets everything on signing out', async () => {
    const { page, drop, fileOf } = await openPage(browser())
    await drop(await fileOf('diary.txt', randomBytes(100)))
    await rowIs(page, 'diary.txt', 'completed')

    await page.locator('.badge').click()
    await page.getByRole('button', { name: 'Sign out' }).click()

    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    expect(await page.locator('.row').count()).toBe(0)
    expect(
      await page.evaluate("sessionStorage.getItem('landfall:token') ?? localStorage.getItem('landfall:token')"),
    ).toBe(null)
  })

  it('says so when the next token is not accepted either', async () => {
    const { page } = await openPage(browser())
    await page.locator('.badge').waitFor()
    await page.route('**/v1/uploads?*', (route) => route.fulfill({ status: 401 }))
    await page.getByRole('button', { name: 'Refresh' }).click()
    await page.getByRole('heading', { name: 'Sign in again' }).waitFor()

    await signIn(page, 'nonsense')

    await page.getByRole('alert').getByText('The server does not accept the token.').waitFor()
  })

  it('does nothing with a pasted token before the server has accepted it', async () => {
    const { page } = await openPage(browser())
    const asked: string[] = []
    await page.route('**/v1/me', async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 500))
      await route.continue()
    })
    page.on('request', (request) => {
      if (request.url().includes('/v1/uploads')) asked.push(request.headers()['authorization']!)
    })
    await page.getByText('No uploads yet').waitFor()
    await page.locator('.badge').click()
    await page.getByText('Sign in with another token').click()
    await page.getByLabel('Token', { exact: true }).fill('nonsense')
    await page.getByRole('button', { name: 'Sign in' }).click()

    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await page.getByRole('alert').getByText('The server does not accept the token.').first().waitFor()

    expect(asked.length).toBeGreaterThan(0)
    expect(asked).not.toContain('Bearer nonsense')
    expect(await page.locator('.badge').count()).toBe(1)
  })

  it('sends what can be read of a folder with something in it that cannot', async () => {
    const { page, drop, fileOf } = await openPage(browser())
    const folder = `${dirname(await fileOf('README', Buffer.alloc(0)))}/mixed`
    await mkdir(folder)
    await fileOf('mixed/good.txt', randomBytes(10))
    await fileOf('mixed/locked.txt', randomBytes(10))
    // Tests run as root, to whom nothing on the disk is locked.
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
    await rowIs(page, 'good.txt', 'completed')
    await rowIs(page, 'locked.txt', 'failed')
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
    const tabTo = async (words: RegExp) => {
      for (let step = 0; step < 30; step++) {
        await page.keyboard.press('Tab')
        if (words.test(await focused())) return
      }
      throw new Error(`nothing that says ${words} can be reached by Tab`)
    }

    // Before the key, because the browser must be told first that the dialog is ours.
    const dialog = page.waitForEvent('filechooser')
    await tabTo(/Drop files here/)
    await page.keyboard.press('Enter')
    await (await dialog).setFiles(path)
    await rowIs(page, 'notes.txt', 'completed')
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

  it.each(['light', 'dark'] as const)('fits a phone in %s, with nothing cut off', async (colorScheme) => {
    const { page, drop, fileOf, complaints } = await openPage(browser(), {
      viewport: { width: 360, height: 740 },
      colorScheme,
    })
    const long = `${'a very long name of a file that nobody would type '.repeat(4)}.txt`

    await drop(await fileOf(long, randomBytes(100)))
    await rowIs(page, 'a very long name', 'completed')
    await page.locator('.row').first().waitFor()

    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
    const names = page.locator('.row .name, .card .name')
    for (const name of await names.all()) {
      const box = (await name.boundingBox())!
      expect(box.x + box.width).toBeLessThan(360)
    }
    expect(complaints).toEqual([])
  })

  it('is served under a policy that allows no inline script and no foreign host', async () => {
    const { page, complaints } = await openPage(browser())
    const foreign: string[] = []
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== new URL(page.url()).origin) foreign.push(request.url())
    })

    const response = await page.reload()
    await page.getByRole('heading', { name: 'Uploads' }).waitFor()

    const policy = response!.headers()['content-security-policy']!
    expect(policy).not.toMatch(/unsafe|\*|https?:/)
    expect(foreign).toEqual([])
    expect(complaints).toEqual([])
  })
})

/** Signs in with a pasted token, in the page or in the dialog. */
async function signIn(page: Page, token: string, place = 'main'): Promise<void> {
  await page.locator(place).getByLabel('Token', { exact: true }).fill(token)
  await page.locator(place).getByRole('button', { name: 'Sign in' }).click()
}

/** What tus' metadata say of the place of a file in its folder. */
function placeIn(metadata: string | null): string {
  const [, place = ''] = /relativePath ([^,]+)/.exec(metadata ?? '') ?? []
  return Buffer.from(place, 'base64').toString()
}

/** A file that has arrived, as the server would list it. */
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
