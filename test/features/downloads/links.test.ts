import { describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { testDatabase } from '../../support/open-engine.ts'
import { secret, sharedApp, type TestApp } from '../../support/test-app.ts'
import { sendWholeFile } from './sent-file.ts'

const text = 'The quick brown fox jumps over the lazy dog'

async function makeLink(app: TestApp, id: string, payload: object = {}, actor?: Parameters<TestApp['as']>[0]) {
  return app.http.inject({ method: 'POST', url: `/v1/files/${id}/links`, headers: await app.as(actor), payload })
}

async function linkTo(app: TestApp, id: string, payload: object = {}): Promise<string> {
  const answer = await makeLink(app, id, payload)
  expect(answer.statusCode).toBe(201)
  return answer.json().url
}

async function setContentState(id: string, state: string): Promise<void> {
  const statement = { name: `test-content-${state}`, text: `update contents set state = '${state}' where id = $1` }
  await (await testDatabase()).query(statement, [id])
}

describe('a link', () => {
  it('needs no token, and is answered as a file is', async () => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, 'Füchse.txt', text)

    const url = await linkTo(app, id)
    const [whole, part, head] = [
      await app.http.inject({ url }),
      await app.http.inject({ url, headers: { range: 'bytes=4-8' } }),
      await app.http.inject({ url, method: 'HEAD' }),
    ]

    expect(url).toMatch(/^\/d\/[\w-]{64}\/F%C3%BCchse\.txt$/)
    expect([whole.statusCode, whole.body, whole.headers.etag]).toEqual([200, text, `"${id}"`])
    expect([part.statusCode, part.body]).toEqual([206, 'quick'])
    expect([head.statusCode, head.body, head.headers['content-length']]).toEqual([200, '', String(text.length)])
    expect(whole.headers).toMatchObject({
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
      'cross-origin-resource-policy': 'cross-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    })
  })

  it('lives no longer than LINK_MAX_LIFETIME', async () => {
    const app = await sharedApp({ LINK_MAX_LIFETIME: '1h' })
    const id = await sendWholeFile(app, 'a.txt', text)

    expect((await makeLink(app, id, { expiresIn: 3600 })).statusCode).toBe(201)
    const refused = await makeLink(app, id, { expiresIn: 3601 })
    expect([refused.statusCode, refused.json().error.code]).toEqual([400, 'INVALID_FIELD'])
    for (const expiresIn of [0, -1, 1.5, 'x', null])
      expect((await makeLink(app, id, { expiresIn })).statusCode).toBe(400)
  })

  it('is not there when its token was made up or changed', async () => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, 'a.txt', text)
    const url = await linkTo(app, id)
    const [, , token = ''] = url.split('/')
    const swapped = token[20] === 'A' ? 'B' : 'A'
    app.store.calls.length = 0

    const wrong = [token.slice(0, 20) + swapped + token.slice(21), 'x'.repeat(64), 'x', '%00', `${token}x`]
    for (const other of wrong) {
      const answer = await app.http.inject({ url: `/d/${other}/a.txt` })
      expect([answer.statusCode, answer.json().error.code]).toEqual([404, 'NOT_FOUND'])
    }
    expect(app.store.calls).toEqual([])
  })

  it('may be called anything: the token alone names the file', async () => {
    const app = await sharedApp()
    const [, , token = ''] = (await linkTo(app, await sendWholeFile(app, 'a.txt', text))).split('/')

    const answer = await app.http.inject({ url: `/d/${token}/other-name.html` })

    expect(answer.body).toBe(text)
    expect(answer.headers['content-disposition']).toContain('filename="a.txt"')
  })

  it('has as much of a long name as a path may have', async () => {
    const app = await sharedApp()
    const url = await linkTo(app, await sendWholeFile(app, `${'写'.repeat(80)}.txt`, text))

    expect(url.length).toBeLessThan(480)
    expect((await app.http.inject({ url })).body).toBe(text)
  })

  it('is valid on a server whose second secret made it', async () => {
    const app = await sharedApp()
    const url = await linkTo(app, await sendWholeFile(app, 'a.txt', text))
    const next = await sharedApp({ JWT_SECRET: `another secret that is long enough, ${secret}` })

    expect((await next.http.inject({ url, method: 'HEAD' })).statusCode).toBe(200)
  })

  it('saves the file when it was made so', async () => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, 'a.txt', text)

    const { headers } = await app.http.inject({ url: await linkTo(app, id, { disposition: 'attachment' }) })

    expect(String(headers['content-disposition'])).toMatch(/^attachment;/)
  })

  it('ends with its revocation, and with the file; later links live', async () => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, 'a.txt', text)
    const headers = await app.as()
    const url = await linkTo(app, id)

    const revoked = await app.http.inject({ method: 'DELETE', url: `/v1/files/${id}/links`, headers })
    const later = await linkTo(app, id)

    expect(revoked.statusCode).toBe(204)
    expect((await app.http.inject({ url })).json().error.code).toBe('LINK_EXPIRED')
    expect((await app.http.inject({ url: later })).statusCode).toBe(200)

    await app.http.inject({ method: 'DELETE', url: `/v1/uploads/${id}`, headers })
    expect((await app.http.inject({ url: later })).statusCode).toBe(410)
  })

  it('is made and revoked by the owner and admins alone', async () => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, 'a.txt', text)
    const eve = userOf('eve', 'creator')
    const url = await linkTo(app, id)

    expect((await makeLink(app, id, {}, eve)).statusCode).toBe(404)
    const revoking = { method: 'DELETE', url: `/v1/files/${id}/links`, headers: await app.as(eve) } as const
    expect((await app.http.inject(revoking)).statusCode).toBe(404)
    expect((await app.http.inject({ url })).statusCode).toBe(200)
  })

  it('leads to the host of FILES_ORIGIN, and is served there only', async () => {
    const app = await sharedApp({ FILES_ORIGIN: 'https://files.example' })
    const id = await sendWholeFile(app, 'a.txt', text)

    const url = await linkTo(app, id)

    expect(url).toMatch(/^https:\/\/files\.example\/d\//)
    const path = new URL(url).pathname
    expect((await app.http.inject({ url: path, headers: { host: 'files.example' } })).body).toBe(text)
    expect((await app.http.inject({ url: path, headers: { host: 'app.example' } })).statusCode).toBe(404)
  })
})

describe.each([
  ['held', 423, 'FILE_HELD'],
  ['quarantined', 403, 'FILE_QUARANTINED'],
  ['gone', 410, 'UPLOAD_GONE'],
])('a content that is %s', (state, status, code) => {
  it('is read by no route', async () => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, 'a.txt', text)
    const link = await linkTo(app, id)
    await setContentState(id, state)
    app.store.calls.length = 0
    const own = { url: `/v1/files/${id}/content`, headers: await app.as() }
    const range = { range: 'bytes=0-1' }

    const answers = [
      await app.http.inject(own),
      await app.http.inject({ ...own, method: 'HEAD' }),
      await app.http.inject({ ...own, headers: { ...own.headers, ...range } }),
      await app.http.inject({ ...own, headers: { ...own.headers, 'if-none-match': `"${id}"` } }),
      await app.http.inject({ ...own, headers: await app.as(userOf('root', 'creator', { isAdmin: true })) }),
      await app.http.inject({ url: link }),
      await app.http.inject({ url: link, method: 'HEAD' }),
      await app.http.inject({ url: link, headers: range }),
      await makeLink(app, id),
    ]

    expect(answers.map(({ statusCode }) => statusCode)).toEqual(answers.map(() => status))
    for (const { body } of answers.filter((answer) => answer.body !== ''))
      expect(JSON.parse(body)).toMatchObject({ error: { code } })
    expect(app.store.calls).toEqual([])
    await setContentState(id, 'live')
    expect((await app.http.inject({ url: link })).body).toBe(text)
  })
})
