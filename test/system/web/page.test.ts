import { randomBytes } from 'node:crypto'
import { mkdir, truncate, utimes } from 'node:fs/promises'
import { dirname } from 'node:path'
import { describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { signToken } from '../../../src/http/identity/secret.ts'
import { cardIs, cardOf, expectNothingSentTwice, openPage, sentMoreThan } from './open-page.ts'
import { useBrowser } from './use-browser.ts'

const MiB = 1024 ** 2

const browser = useBrowser()

describe('the page', () => {
  it('sends what is dropped on it, and shows it among my uploads', async () => {
    const { page, drop, fileOf, stored, complaints } = await openPage(browser())
    const bytes = Buffer.concat([Buffer.from('%PDF-1.7\n'), randomBytes(MiB)])
    await page.getByText('Any file up to 10 GiB').waitFor()

    await drop(await fileOf('Übersicht 2026.pdf', bytes))
    await cardIs(page, 'Übersicht 2026.pdf', 'completed')

    const row = page.locator('.row[data-state="completed"]', { hasText: 'Übersicht 2026.pdf' })
    await row.getByText('/document/').waitFor()
    expect((await stored()).equals(bytes)).toBe(true)
    expect(complaints).toEqual([])
  })

  it('sends several files at once', async () => {
    const { page, drop, fileOf, app, user } = await openPage(browser())
    const names = ['a.txt', 'b.txt', 'c.txt', 'd.txt', 'e.txt']
    const paths = await Promise.all(names.map((name) => fileOf(name, randomBytes(1000))))

    await drop(...paths)
    await page.getByRole('heading', { name: 'All 5 files have arrived' }).waitFor()

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
    await page.getByRole('heading', { name: 'All 2 files have arrived' }).waitFor()

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

    await cardIs(page, 'pasted.txt', 'completed')
  })

  it('says that it waits for the network, and goes on by itself when it is back', async () => {
    const { page, drop, fileOf, wire, seen, stored } = await openPage(browser())
    const bytes = randomBytes(24 * MiB)
    wire.set({ rate: 12 * MiB })

    await drop(await fileOf('film.mp4', bytes))
    await sentMoreThan(page, 6 * MiB)
    wire.set({ refuse: true })
    await page.context().setOffline(true)
    wire.cutAll()
    await cardOf(page, 'film.mp4').getByText('Waiting for the network, resuming by itself').waitFor()
    wire.set({})
    await page.context().setOffline(false)
    await cardIs(page, 'film.mp4', 'completed')

    expectNothingSentTwice(seen)
    expect((await stored()).equals(bytes)).toBe(true)
  })

  it('goes on where it stopped when the file is dropped again after a reload', async () => {
    const { page, drop, fileOf, wire, seen, stored } = await openPage(browser())
    const bytes = randomBytes(24 * MiB)
    const path = await fileOf('film.mp4', bytes)
    wire.set({ rate: 12 * MiB })

    await drop(path)
    await sentMoreThan(page, 6 * MiB)
    await page.reload()
    await page.getByText('Drop this file again to go on').waitFor()
    wire.set({})
    await drop(path)
    await cardIs(page, 'film.mp4', 'completed')

    await cardOf(page, 'film.mp4').getByText('went on at').waitFor()
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
    await sentMoreThan(page, 6 * MiB)
    await page.evaluate('localStorage.clear()')
    await page.reload()
    wire.set({})

    const input = page.locator('.go-on input')
    await input.setInputFiles(other)
    await page.getByText('This is another file').waitFor()
    await input.setInputFiles(path)
    await cardIs(page, 'film.mp4', 'completed')

    expectNothingSentTwice(seen)
    expect((await stored()).equals(bytes)).toBe(true)
  })

  it('asks before it joins a file to an upload that only looks like its own', async () => {
    const { page, drop, fileOf, wire, seen } = await openPage(browser())
    const path = await fileOf('film.mp4', randomBytes(24 * MiB))
    wire.set({ rate: 12 * MiB })
    await drop(path)
    await sentMoreThan(page, 6 * MiB)
    await page.evaluate('localStorage.clear()')
    await page.reload()
    await page.getByText('Drop this file again to go on').waitFor()
    wire.set({})

    await drop(path)
    await page.getByText('Is it the same file, unchanged?').waitFor()
    await page.getByRole('button', { name: 'No, send it anew' }).click()
    await cardIs(page, 'film.mp4', 'completed')

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
    await cardIs(page, 'film.mp4', 'paused')
    await page.getByRole('button', { name: 'Cancel song.mp3' }).click()
    await cardOf(page, 'song.mp3').waitFor({ state: 'detached' })
    wire.set({})
    await page.getByRole('button', { name: 'Resume film.mp4' }).click()
    await cardIs(page, 'film.mp4', 'completed')

    const uploads = await app.engine.list(userOf(user, 'creator'), { limit: 10 })
    const states = Object.fromEntries(uploads.map(({ filename, state }) => [filename, state]))
    expect(states['film.mp4']).toBe('completed')
    expect(states['song.mp3'] ?? 'cancelled').toBe('cancelled')
    expect(seen.filter(({ method }) => method === 'DELETE').length).toBeLessThanOrEqual(1)
  })

  it('says in words what a role may not send', async () => {
    const { page, drop, fileOf, app } = await openPage(browser())
    const huge = await fileOf('huge.png', Buffer.alloc(0))
    await truncate(huge, 201 * MiB)

    await page.locator('.badge').click()
    await page.locator('.segments').getByText('subscriber').click()
    await page.locator('.badge').getByText('subscriber').waitFor({ state: 'attached' })
    await page.getByRole('button', { name: 'Close' }).click()
    await page.getByText('Images and documents up to 200 MiB').waitFor()
    await drop(huge, await fileOf('song.mp3', randomBytes(100)))

    await cardOf(page, 'huge.png').getByText('A subscriber may send at most 200 MiB. This file has 201 MiB.').waitFor()
    await cardOf(page, 'song.mp3').getByText('A subscriber may not send files of type audio/mpeg.').waitFor()
    expect(app.store.objects.size).toBe(0)
  })

  it('asks for a new token when the old one expires in the middle, and goes on where it was', async () => {
    const { page, drop, fileOf, wire, seen, app, user, stored } = await openPage(browser())
    const actor = userOf(user, 'creator')
    const bytes = randomBytes(24 * MiB)
    // Five seconds are forgiven, so this one lives for about two.
    const short = await signToken(app.secret, actor, -3)
    await page.locator('.badge').click()
    await page.getByText('Use another token').click()
    await page.getByLabel('Token', { exact: true }).fill(short)
    wire.set({ rate: 6 * MiB })
    await page.getByRole('button', { name: 'Use it' }).click()
    await page.locator('dialog').waitFor({ state: 'hidden' })

    await drop(await fileOf('film.mp4', bytes))
    await sentMoreThan(page, 12 * MiB)
    await page.waitForTimeout(1000)
    wire.cutAll()
    await page.getByRole('heading', { name: 'A new token, please' }).waitFor()
    await cardIs(page, 'film.mp4', 'unauthorized')
    wire.set({})
    await page
      .locator('main')
      .getByLabel('Token', { exact: true })
      .fill(await signToken(app.secret, actor, 600))
    await page.locator('main').getByRole('button', { name: 'Use it' }).click()
    await cardIs(page, 'film.mp4', 'completed')

    expect(seen.filter(({ method }) => method === 'POST')).toHaveLength(1)
    expect((await stored()).equals(bytes)).toBe(true)
  })

  it('works where the browser lets it keep nothing', async () => {
    const { page, drop, fileOf, complaints } = await openPage(browser())
    await page.addInitScript(`for (const name of ['localStorage', 'sessionStorage'])
      Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError') } })`)
    await page.reload()

    await drop(await fileOf('notes.txt', randomBytes(100)))

    await cardIs(page, 'notes.txt', 'completed')
    expect(complaints).toEqual([])
  })

  it('adds older uploads once, however often one asks for them', async () => {
    const { page } = await openPage(browser())
    await page.route('**/v1/uploads?*', async (route) => {
      const isOlder = new URL(route.request().url()).searchParams.has('before')
      if (isOlder) await new Promise((resolve) => setTimeout(resolve, 300))
      const json = { uploads: [listedAs(isOlder ? 'older.txt' : 'newer.txt')], next: isOlder ? null : 'newer.txt' }
      await route.fulfill({ json })
    })
    await page.getByRole('button', { name: 'Refresh' }).click()

    await page.getByRole('button', { name: 'Show older ones' }).dblclick()
    await page.locator('.row', { hasText: 'older.txt' }).first().waitFor()
    await page.waitForTimeout(200)

    expect(await page.locator('.row .name').allTextContents()).toEqual(['newer.txt', 'older.txt'])
  })

  it('shows nobody what another user has', async () => {
    const { page, app, drop, fileOf } = await openPage(browser())
    await drop(await fileOf('diary.txt', randomBytes(100)))
    await page.locator('.row', { hasText: 'diary.txt' }).waitFor()
    await page.route('**/v1/uploads?*', (route) => route.fulfill({ status: 503 }))

    await page.locator('.badge').click()
    const [, token] = (await app.as({ id: 'grace', role: 'creator' })).authorization.split(' ')
    await page.getByLabel('Token', { exact: true }).fill(token!)
    await page.getByRole('button', { name: 'Use it' }).click()
    await page.locator('.badge-user').getByText('grace').waitFor({ state: 'attached' })
    await page.getByText('The list may be out of date.').waitFor({ state: 'attached' })

    expect(await page.locator('.row', { hasText: 'diary.txt' }).count()).toBe(0)
  })

  it('says so when the next token is not accepted either', async () => {
    const { page } = await openPage(browser())
    await page.locator('.badge').waitFor()
    await page.route('**/v1/uploads?*', (route) => route.fulfill({ status: 401 }))
    await page.getByRole('button', { name: 'Refresh' }).click()
    await page.getByRole('heading', { name: 'A new token, please' }).waitFor()

    await page.locator('main').getByLabel('Token', { exact: true }).fill('nonsense')
    await page.locator('main').getByRole('button', { name: 'Use it' }).click()

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
    await page.getByText('Nothing here yet').waitFor()
    await page.locator('.badge').click()
    await page.getByLabel('Token', { exact: true }).fill('nonsense')
    await page.getByRole('button', { name: 'Use it' }).click()

    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await page.getByRole('alert').getByText('The server does not accept the token.').first().waitFor()

    expect(asked.length).toBeGreaterThan(0)
    expect(asked).not.toContain('Bearer nonsense')
    expect(await page.locator('.badge').count()).toBe(1)
  })

  it('cuts no character of a name in two', async () => {
    const { page, drop, fileOf } = await openPage(browser())

    await drop(await fileOf('a😀😀😀😀😀😀x.txt', randomBytes(10)))
    await cardIs(page, 'x.txt', 'completed')

    const pieces = await page.locator('.card .name span').allTextContents()
    expect(pieces.join('')).toBe('a😀😀😀😀😀😀x.txt')
    expect(pieces.filter((piece) => !piece.isWellFormed())).toEqual([])
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

    await cardIs(page, 'good.txt', 'completed')
    await cardIs(page, 'locked.txt', 'failed')
    await cardOf(page, 'locked.txt').getByText('The file cannot be read').waitFor()
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
    await cardIs(page, 'notes.txt', 'completed')
    await page.getByRole('status').getByText('notes.txt has arrived.').waitFor({ state: 'attached' })
    await tabTo(/Clear notes.txt/)
    await page.keyboard.press('Enter')
    await cardOf(page, 'notes.txt').waitFor({ state: 'detached' })
    await page.locator('.row', { hasText: 'notes.txt' }).waitFor()
    await tabTo(/Delete notes.txt/)
    await page.keyboard.press('Space')
    await expect.poll(focused).toBe('Delete')
    await page.keyboard.press('Enter')
    await page.getByText('Nothing here yet').waitFor()
    await expect.poll(focused).toBe('My uploads')

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
    await cardIs(page, 'a very long name', 'completed')
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
    await page.getByText('My uploads').waitFor()

    const policy = response!.headers()['content-security-policy']!
    expect(policy).not.toMatch(/unsafe|\*|https?:/)
    expect(foreign).toEqual([])
    expect(complaints).toEqual([])
  })
})

/** What tus' metadata say of the place of a file in its folder. */
function placeIn(metadata: string | null): string {
  const [, place = ''] = /relativePath ([^,]+)/.exec(metadata ?? '') ?? []
  return Buffer.from(place, 'base64').toString()
}

/** A file that has arrived, as the server would list it. */
function listedAs(filename: string) {
  const at = new Date().toISOString()
  const upload = { id: filename, url: `/files/${filename}`, filename, contentType: 'text/plain', category: 'document' }
  const times = { createdAt: at, updatedAt: at, completedAt: at, expiresAt: null }
  return { ...upload, ...times, size: 1, offset: 1, state: 'completed', key: filename, failure: null }
}
