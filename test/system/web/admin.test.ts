import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { createUpload, send, tusHeaders, videoPrefix } from './busy-server.ts'
import { openAdmin, operator, twoServers } from './open-admin.ts'
import { useBrowser } from './use-browser.ts'

const MiB = 1024 ** 2
const ann = userOf('ann', 'member')
const hostile = '<img src=x onerror=alert(1)>"\'&amp;<script>alert(2)</script>'

const browser = useBrowser()

describe('the admin page', () => {
  it('changes a policy, which the other server enforces within a second', async () => {
    const [here, there] = await twoServers()
    const { page, pageErrors } = await openAdmin(browser(), here, { path: 'policies' })
    const file = { filename: 'film.mp4', size: 5000 }
    expect((await createUpload(there, ann, file)).status).toBe(201)

    const json = page.getByLabel('Policies as JSON')
    const before = await json.inputValue()
    await json.fill(before.replace('"maxSize": "2 GiB"', '"maxSize": "2 gibberish"'))
    await page.getByRole('button', { name: 'roles.member.maxSize: expected a size such as' }).waitFor()
    expect(await page.getByRole('button', { name: 'Save as version 2' }).isEnabled()).toBe(false)
    await json.fill(before.replace('"maxSize": "2 GiB"', '"maxSize": "1 KiB"'))
    await page.locator('.diff-field', { hasText: 'roles › member › maxSize' }).getByText('1 KiB').waitFor()
    await page.getByLabel('Note').fill(hostile)
    await page.getByRole('button', { name: 'Save as version 2' }).click()
    const savedAt = performance.now()
    await expect.poll(async () => (await createUpload(there, ann, file)).status, { interval: 25 }).toBe(413)

    expect(performance.now() - savedAt).toBeLessThan(1500)
    await page.getByText('Version 2 is active on every server.').waitFor()
    await page.locator('[data-version="2"]').getByText(hostile, { exact: true }).waitFor()
    expect(pageErrors).toEqual([])
  })

  it('keeps an edited text after a conflict, and restores an old version', async () => {
    const [here, there] = await twoServers()
    const [mine, other] = [
      await openAdmin(browser(), here, { path: 'policies' }),
      await openAdmin(browser(), there, { path: 'policies' }),
    ]
    const write = async ({ page }: typeof mine, limit: string) => {
      const json = page.getByLabel('Policies as JSON')
      await json.fill((await json.inputValue()).replace('"maxSize": "2 GiB"', limit))
      await page.locator('.diff-field').first().waitFor()
    }

    await write(mine, '"maxSize": "3 GiB"')
    await write(other, '"maxSize": "4 GiB"')
    await other.page.getByRole('button', { name: 'Save as version 2' }).click()
    await other.page.getByText('Version 2 is active').waitFor()
    await mine.page.getByRole('button', { name: 'Save as version 2' }).click()
    await mine.page.getByText('The policies were changed in the meantime.').waitFor()
    await mine.page.locator('.diff-before', { hasText: '4 GiB' }).waitFor()
    await mine.page.getByRole('button', { name: 'Save as version 3' }).click()
    await mine.page.getByText('Version 3 is active').waitFor()
    await mine.page.getByRole('button', { name: 'Restore version 1' }).click()
    await mine.page.getByRole('dialog').getByText('2 GiB').waitFor()
    await mine.page.getByRole('button', { name: 'Restore', exact: true }).click()

    await mine.page.locator('[data-version="4"]', { hasText: 'restored version 1' }).waitFor()
    expect([...mine.pageErrors, ...other.pageErrors]).toEqual([])
  })

  it('hides data of all tenants from an admin of one tenant, and says so', async () => {
    const [here] = await twoServers()
    const boss = userOf('boss', 'operator', { isAdmin: true, tenant: 'acme' })
    const { page, pageErrors } = await openAdmin(browser(), here, { actor: boss })
    const forbiddenRequests: string[] = []
    page.on('request', (request) => {
      if (/\/v1\/admin\/(policies|activity)/.test(request.url())) forbiddenRequests.push(request.url())
    })
    await page.reload()

    await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor()
    const sections = await page.getByRole('navigation', { name: 'Sections' }).getByRole('link').allInnerTexts()
    for (const section of sections) {
      await page.getByRole('link', { name: section, exact: true }).click()
      await page.getByRole('heading', { name: section, exact: true, level: 1 }).waitFor()
    }
    await page.goto(`${here.url}/admin#/policies`)
    await page.getByText('apply to all tenants: only an admin without a tenant may').waitFor()

    expect(sections.map((section) => section.trim())).not.toContain('Policies')
    expect([...forbiddenRequests, ...pageErrors]).toEqual([])
  })

  it('removes no role before its removal is confirmed by name', async () => {
    const [here] = await twoServers()
    const { page, pageErrors } = await openAdmin(browser(), here, { path: 'policies' })
    const json = page.getByLabel('Policies as JSON')
    const policies = JSON.parse(await json.inputValue())
    const { subscriber: _, ...roles } = policies.roles

    await json.fill(JSON.stringify({ ...policies, roles }))
    await page.getByText('Remove the role subscriber').waitFor()
    const save = page.getByRole('button', { name: 'Save as version 2' })
    expect(await save.isEnabled()).toBe(false)
    await page.getByText('Remove the role subscriber').click()
    await save.click()

    await page.getByText('Version 2 is active').waitFor()
    expect(pageErrors).toEqual([])
  })

  it('changes a limit of a role in the form, which updates the text', async () => {
    const [here] = await twoServers()
    const { page, pageErrors } = await openAdmin(browser(), here, { path: 'policies' })

    await page.getByText('Change the limits of a role').click()
    await page.getByLabel('Role', { exact: true }).selectOption('member')
    await page.getByLabel('Largest file').fill('3 GiB')
    await page.getByLabel('File types').fill('image/*, application/pdf')
    await page.locator('.diff-field', { hasText: 'roles › member › mediaTypes' }).waitFor()
    await page.getByRole('button', { name: 'Save as version 2' }).click()
    await page.getByText('Version 2 is active').waitFor()

    const { roles } = JSON.parse(await page.getByLabel('Policies as JSON').inputValue())
    expect(roles.member).toMatchObject({ maxSize: '3 GiB', mediaTypes: ['image/*', 'application/pdf'] })
    expect(pageErrors).toEqual([])
  })

  it('sorts a table by any column and saves it as CSV', async () => {
    const [here] = await twoServers()
    for (const [name, size] of [
      ['b, "two".txt', 20],
      ['=a.txt', 300],
      ['c.txt', 1],
    ] as const)
      await createUpload(here, ann, { filename: name, size })
    const { page } = await openAdmin(browser(), here, { path: 'uploads' })
    const names = () => page.locator('tbody .name').allTextContents()
    await expect.poll(names, { timeout: 15_000 }).toHaveLength(3)

    await page.getByRole('button', { name: 'Size' }).click()
    expect(await names()).toEqual(['c.txt', 'b, "two".txt', '=a.txt'])
    await page.getByRole('button', { name: 'Size' }).click()
    expect(await page.getByRole('columnheader', { name: 'Size' }).getAttribute('aria-sort')).toBe('descending')
    const download = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Export as CSV' }).click()
    const lines = (await text((await (await download).createReadStream()) as never)).split('\r\n')

    expect(lines[0]).toMatch(/^\ufeff?File,State,User,Role,Size,/)
    expect(lines.slice(1).map((line) => line.split(',receiving')[0])).toEqual(["'=a.txt", '"b, ""two"".txt"', 'c.txt'])
  })

  it('shows the progress of an upload to the other server, and cancels it', async () => {
    const [here, there] = await twoServers()
    const { page, pageErrors } = await openAdmin(browser(), here)
    const { id, sent } = await send(
      there,
      ann,
      { filename: hostile, size: 20 * MiB, prefix: videoPrefix },
      { perSecond: MiB },
    )

    const row = page.locator(`.live-row[data-id="${id}"]`)
    await row.waitFor()
    const progress = async () => Number(await row.locator('progress').getAttribute('value'))
    const first = await progress()
    await expect.poll(progress, { timeout: 10_000 }).toBeGreaterThan(first)
    await row.getByText(/KiB\/s|MiB\/s/).waitFor()
    expect(await row.locator('.name').textContent()).toBe(hostile)
    await row.getByRole('link').click()
    await page.getByRole('heading', { name: hostile, exact: true }).waitFor()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('button', { name: 'Cancel the upload' }).click()
    await page.locator('.upload-head').getByText('Cancelled').waitFor()

    expect(await sent).not.toBe(204)
    const gone = await fetch(`${there.url}/files/${id}`, { method: 'HEAD', headers: await tusHeaders(there, ann) })
    expect(gone.status).toBe(410)
    await page.getByText('olga (operator) cancelled an upload').waitFor()
    await page.getByRole('link', { name: 'Overview' }).click()
    await page.getByText('No uploads are running').waitFor()
    await row.waitFor({ state: 'detached' })
    expect(pageErrors).toEqual([])
  })

  it('can be used with the keyboard alone', async () => {
    const [here] = await twoServers()
    const { page, pageErrors } = await openAdmin(browser(), here)
    const { id } = await send(
      here,
      ann,
      { filename: 'film.mp4', size: 9 * MiB, prefix: videoPrefix },
      { perSecond: MiB },
    )
    const focused = () => page.evaluate('document.activeElement.innerText') as Promise<string>
    const plot = page.getByRole('slider', { name: 'Throughput' })
    await page.locator('.live-row').waitFor()

    await plot.focus()
    const before = await plot.getAttribute('aria-valuenow')
    await page.keyboard.press('ArrowLeft')
    expect(await plot.getAttribute('aria-valuenow')).not.toBe(before)
    await page.getByRole('button', { name: 'Cancel film.mp4' }).focus()
    await page.keyboard.press('Enter')
    await expect.poll(focused).toBe('Back')
    await page.keyboard.press('Escape')
    await expect.poll(focused).toBe('Uploading now')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'film.mp4', exact: true }).waitFor()
    await page.getByRole('button', { name: 'Expire' }).focus()
    await page.keyboard.press('Enter')
    await expect.poll(focused).toBe('Back')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.locator('.upload-head').getByText('Expired').waitFor()

    const response = await fetch(`${here.url}/files/${id}`, { method: 'HEAD', headers: await tusHeaders(here, ann) })
    expect(response.status).toBe(410)
    expect(pageErrors).toEqual([])
  })

  it('loads uploads page by page, and skips none when new ones are created', async () => {
    const [here] = await twoServers()
    const bob = userOf('bob', 'creator')
    for (let number = 1; number <= 60; number++) await createUpload(here, bob, { filename: `file ${number}`, size: 10 })
    const { page, pageErrors } = await openAdmin(browser(), here, { path: 'uploads?user=bob' })

    await expect.poll(() => page.locator('tbody tr').count()).toBe(50)
    await createUpload(here, bob, { filename: 'file 61', size: 10 })
    await page.getByRole('button', { name: 'Show older' }).click()
    await expect.poll(() => page.locator('tbody tr').count()).toBeGreaterThan(50)
    const names = await page.locator('tbody .name').allTextContents()
    for (let number = 1; number <= 60; number++) expect(names).toContain(`file ${number}`)
    await page.getByLabel('Name or id').fill('FILE 6')
    await expect.poll(() => page.locator('tbody .name').allTextContents()).toEqual(['file 61', 'file 60', 'file 6'])
    await page.getByLabel('State').selectOption('completed')
    await page.getByText('No upload matches.').waitFor()
    expect(pageErrors).toEqual([])
  })

  it('keeps the text of a filter, also after a pause behind a space', async () => {
    const [here] = await twoServers()
    const { page, pageErrors } = await openAdmin(browser(), here, { path: 'uploads' })
    const field = page.getByLabel('Name or id')

    await field.pressSequentially('holiday ')
    await expect.poll(() => page.url()).toMatch(/text=holiday$/)
    await field.pressSequentially('film')
    await expect.poll(() => page.url()).toMatch(/film$/)

    expect(await field.inputValue()).toBe('holiday film')
    expect(pageErrors).toEqual([])
  })

  it('refuses users who are not admins, and says so', async () => {
    const [here] = await twoServers()
    const { page, pageErrors } = await openAdmin(browser(), here, { actor: ann, path: 'audit' })

    await page.getByText('This token is valid, but not an admin token.').waitFor()
    expect(await page.getByRole('navigation').count()).toBe(0)
    await page.getByLabel('Token').fill('nonsense')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('The server does not accept the token').waitFor()
    const bearer = (await tusHeaders(here, operator)).authorization
    await page.getByLabel('Token').fill(bearer)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { name: 'Audit log' }).waitFor()

    expect(pageErrors).toEqual([])
  })

  it('shows a new key once, finds actions in the audit log, and fits a phone', async () => {
    const [here] = await twoServers()
    const { page, pageErrors } = await openAdmin(browser(), here, {
      path: 'keys',
      viewport: { width: 360, height: 740 },
      colorScheme: 'dark',
    })
    const expectPhoneWidth = async () => expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
    await (await send(here, ann, { filename: 'film.mp4', size: 1000, prefix: videoPrefix })).sent

    await page.locator('.brand', { hasText: 'Admin' }).getByText('Admin').waitFor()
    await page.getByText('Create an API key').click()
    await page.getByLabel('Name').fill(hostile)
    await page.getByLabel('Role').fill('member')
    await page.getByRole('button', { name: 'Create', exact: true }).click()
    const token = await page.locator('.token').textContent()
    const asKey = { authorization: `Bearer ${token}` }
    expect((await fetch(`${here.url}/v1/uploads`, { headers: asKey })).status).toBe(200)
    await page.getByRole('button', { name: 'Done' }).click()
    await page.getByRole('button', { name: `Revoke ${hostile}` }).click()
    await page.getByRole('button', { name: 'Revoke', exact: true }).click()
    await page.getByText('revoked by olga').waitFor()
    await expectPhoneWidth()
    expect((await fetch(`${here.url}/v1/uploads`, { headers: asKey })).status).toBe(401)
    expect(await page.getByText(token!).count()).toBe(0)

    await page.getByRole('link', { name: 'Audit log' }).click()
    await page.getByLabel('Action').selectOption('key.revoke')
    await page.locator('.audit-row', { hasText: /olga \(\w+\)\s*revoked an API key/ }).waitFor()
    await expect.poll(() => page.locator('.audit-row').count()).toBe(1)
    await expectPhoneWidth()
    for (const [section, selector] of [
      ['Overview', '.plot'],
      ['Uploads', 'tbody tr'],
      ['Policies', 'table'],
      ['Usage', '.meter'],
      ['Explain', 'form'],
    ]) {
      await page.getByRole('navigation').getByRole('link', { name: section! }).click()
      await page.locator(selector!).first().waitFor()
      await expectPhoneWidth()
    }
    await page.getByLabel('User').fill('ann')
    await page.getByLabel('Size').fill('3 GiB')
    await page.getByLabel('Type').fill('video/mp4')
    await page.keyboard.press('Enter')
    await page.getByText('A member may send at most 2 GiB.').first().waitFor()
    expect(pageErrors).toEqual([])

    await page.context().setOffline(true)
    await page.getByText('No network.').waitFor()
    await page.getByRole('button', { name: 'Check' }).click()
    await page.getByText('The server does not respond.').waitFor()
    await page.context().setOffline(false)
    await page.getByText('No network.').waitFor({ state: 'detached' })
  })

  it('asks for an admin token, and removes it on sign-out', async () => {
    const [here] = await twoServers()
    const { page, pageErrors } = await openAdmin(browser(), here, { actor: null })

    await page.getByLabel('Token').fill((await tusHeaders(here, operator)).authorization)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('navigation').waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()

    await page.getByLabel('Token').waitFor()
    expect(await page.evaluate('sessionStorage.length + localStorage.length')).toBe(0)
    expect(pageErrors).toEqual([])
  })

  it('has a Content-Security-Policy without inline scripts and other hosts', async () => {
    const [here] = await twoServers()

    const answer = await fetch(`${here.url}/admin`)

    expect(answer.headers.get('content-security-policy')).not.toMatch(/unsafe|\*|https?:/)
    expect(answer.headers.get('content-security-policy')).toMatch(/frame-ancestors 'none'/)
    expect(await answer.text()).toContain('/assets/admin-')
  })
})
