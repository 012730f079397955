import { describe, expect, it } from 'vitest'
import { faultsOf } from './axe.ts'
import { openPage } from './open-page.ts'
import { useBrowser } from './use-browser.ts'

const looks = ['light', 'dark'] as const

const browser = useBrowser()

describe('axe finds nothing to complain about', () => {
  it.each(looks)('before somebody has signed in, in %s', async (colorScheme) => {
    const { page } = await openPage(browser(), { isSignedIn: false, colorScheme })

    await page.getByRole('heading', { name: 'Sign in' }).waitFor()

    expect(await faultsOf(page)).toEqual([])
  })
})
