import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { browserPath, startChromium } from './browser.ts'

const builtPage = fileURLToPath(new URL('../../dist/web/index.html', import.meta.url))

/**
 * The browser of a file's tests, all of which are skipped where there is none.
 * @param needsPage the tests open the page of this project, which must have been built
 */
export function useBrowser({ needsPage = true } = {}): () => Browser {
  let browser: Browser
  beforeAll(async () => {
    if (!browserPath) return
    if (needsPage && !existsSync(builtPage)) throw new Error('The page is not built: npm run build')
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
