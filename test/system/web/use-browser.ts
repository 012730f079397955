import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { built } from '../../support/built.ts'
import { browserPath, startChromium } from './browser.ts'

/**
 * The browser of a file's tests, all of which are skipped where there is none.
 * @param needsPage the tests open the page of this project, which are built first
 */
export function useBrowser({ needsPage = true } = {}): () => Browser {
  let browser: Browser
  beforeAll(async () => {
    if (!browserPath) return
    if (needsPage) await built('pages')
    browser = await startChromium(browserPath)
  })
  afterAll(async () => {
    await browser?.close()
  })
  beforeEach((context) => {
    if (!browserPath) context.skip('no Chromium here; TEST_CHROMIUM names one')
  })
  return () => browser
}
