import { randomBytes } from 'node:crypto'
import { mkdir, truncate } from 'node:fs/promises'
import { dirname } from 'node:path'
import { describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { violationsOf } from './axe.ts'
import { send, videoPrefix } from './busy-server.ts'
import { openAdmin, twoServers } from './open-admin.ts'
import { openPage, waitForRow } from './open-page.ts'
import { useBrowser } from './use-browser.ts'

const MiB = 1024 ** 2
const colorSchemes = ['light', 'dark'] as const

const browser = useBrowser()

describe('axe finds no violations', () => {
  it.each(colorSchemes)('on the sign-in form, in %s', async (colorScheme) => {
    const { page } = await openPage(browser(), { isSignedIn: false, colorScheme })

    await page.getByRole('heading', { name: 'Sign in' }).waitFor()

    expect(await violationsOf(page)).toEqual([])
  })

  it.each(colorSchemes)('in the list of uploads, empty and with files in every state, in %s', async (colorScheme) => {
    const { page, drop, fileOf, proxy } = await openPage(browser(), {
      role: 'subscriber',
      viewport: { width: 360, height: 740 },
      colorScheme,
    })
    await page.getByText('No uploads yet').waitFor()
    expect(await violationsOf(page)).toEqual([])
    const huge = await fileOf('huge.png', Buffer.alloc(0))
    await truncate(huge, 201 * MiB)

    const folder = `${dirname(huge)}/holiday`
    await mkdir(folder)
    for (const name of ['one', 'two']) await fileOf(`holiday/${name}.pdf`, pdf(100))
    await drop(folder)
    await page.getByRole('heading', { name: '2 files uploaded' }).waitFor()
    await page.getByRole('button', { name: 'holiday', exact: true }).click()
    proxy.set({ rate: MiB })
    await drop(huge, await fileOf('song.mp3', randomBytes(100)), await fileOf('scan.pdf', pdf(24 * MiB)))
    await waitForRow(page, 'huge.png', 'failed')
    await waitForRow(page, 'scan.pdf', 'sending')
    expect(await violationsOf(page)).toEqual([])
    await page.getByRole('button', { name: 'Pause scan.pdf' }).click()
    await waitForRow(page, 'scan.pdf', 'paused')
    expect(await violationsOf(page)).toEqual([])
    await page.reload()
    await waitForRow(page, 'scan.pdf', 'incomplete')
    expect(await violationsOf(page)).toEqual([])
    await page.locator('.badge').click()
    await page.getByText('Sign in with another token').click()

    expect(await violationsOf(page)).toEqual([])
  })

  it.each(colorSchemes.flatMap((colorScheme) => [1280, 390].map((width) => ({ colorScheme, width }))))(
    'in every section of the admin page, in $colorScheme at $width pixels',
    async ({ colorScheme, width }) => {
      const [here] = await twoServers()
      const ann = userOf('ann', 'member')
      const { id, sent } = await send(here, ann, { filename: 'film.mp4', size: 3000, prefix: videoPrefix })
      await sent
      await send(here, ann, { filename: 'long.mp4', size: 30 * MiB, prefix: videoPrefix }, { perSecond: MiB / 2 })
      const { page } = await openAdmin(browser(), here, { colorScheme, viewport: { width, height: 844 } })
      const violations: Record<string, string[]> = {}

      for (const [path, selector] of [
        ['now', '.live-row'],
        ['uploads', 'main .row, main tbody tr'],
        [`uploads/${id}`, '.timeline'],
        ['policies', 'textarea'],
        ['quota', 'main .row, main tbody tr'],
        ['keys', 'summary'],
        ['audit', 'main .row, main tbody tr'],
        ['explain', 'form'],
      ]) {
        await page.evaluate(`location.hash = '#/${path}'`)
        await page.locator(selector!).first().waitFor()
        violations[path!] = await violationsOf(page)
        const pageWidth = (await page.evaluate('document.documentElement.scrollWidth')) as number
        if (pageWidth > width) violations[path!]!.push(`it is ${pageWidth} pixels wide`)
        violations[path!]!.push(...((await page.evaluate(textsThatOverlap)) as string[]))
      }

      expect(Object.entries(violations).filter(([, found]) => found.length > 0)).toEqual([])
    },
  )
})

// Pairs of text lines of the timeline that overlap.
const textsThatOverlap = `(() => {
  const lines = [...document.querySelectorAll('.timeline *')].flatMap((element) => [...element.childNodes])
    .filter((node) => node.nodeType === Node.TEXT_NODE && node.data.trim())
    .flatMap((node) => {
      const range = document.createRange()
      range.selectNodeContents(node)
      return [...range.getClientRects()].map((box) => ({ text: node.data.trim(), box }))
    })
  const apart = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 4 || b.bottom <= a.top + 4
  return lines.flatMap((one, index) =>
    lines.slice(index + 1).filter((other) => !apart(one.box, other.box)).map((other) => one.text + ' | ' + other.text))
})()`

function pdf(size: number): Buffer {
  return Buffer.concat([Buffer.from('%PDF-1.7\n'), randomBytes(size)])
}
