import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { built } from '../../support/built.ts'
import { browserPath, startChromium } from './browser.ts'

/**
 * Starts the browser for the tests of a file, which are skipped without Chromium.
 * @param needsPage the tests open pages of this project, which are built first
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
    if (!browserPath) context.skip('Chromium is not installed; set TEST_CHROMIUM to its path')
  })
  return () => browser
}
