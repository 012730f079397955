import { describe, expect, it, onTestFinished } from 'vitest'
import { testApp } from '../../support/test-app.ts'
import { collectPageErrors, listen } from './browser.ts'
import { useBrowser } from './use-browser.ts'

const browser = useBrowser({ needsPage: false })

async function openReference() {
  const { http } = await testApp()
  const url = await listen(http)
  const context = await browser().newContext({ viewport: { width: 1200, height: 900 } })
  onTestFinished(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(110_000)
  const pageErrors = collectPageErrors(page)
  const foreign: string[] = []
  page.on('request', (request) => {
    if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== url) foreign.push(request.url())
  })
  await page.goto(`${url}/docs`)
  await page.getByRole('heading', { name: 'Landfall' }).waitFor()
  return { page, pageErrors, foreign }
}

describe('the reference page', () => {
  it('shows the API of this server, under its own name only', async () => {
    const { page, pageErrors, foreign } = await openReference()

    expect(await page.title()).toBe('Landfall API')
    expect(await page.locator('body').textContent()).not.toMatch(/swagger|smartbear/i)
    expect(await page.locator('.topbar').isVisible()).toBe(false)
    const icons = await page
      .locator('link[rel=icon]')
      .evaluateAll((links) => links.map((link) => link.getAttribute('href')))
    expect(icons).toEqual([expect.stringContaining('landfall.svg')])
    expect(pageErrors).toEqual([])
    expect(foreign).toEqual([])
  })

  it('shows how tus and RUFH append at the same path', async () => {
    const { page, pageErrors } = await openReference()

    await page.getByText('Append bytes to an upload').first().click()
    const operation = page.locator('.opblock.is-open')
    await operation.getByText('Upload-Complete').first().waitFor()

    const text = await operation.textContent()
    expect(text).toContain('application/offset+octet-stream')
    expect(text).toContain('tus: OFFSET_MISMATCH')
    expect(pageErrors).toEqual([])
  })
})
