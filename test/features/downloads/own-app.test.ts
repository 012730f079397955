import { expect, it, onTestFinished } from 'vitest'
import { s3Options } from '../../../src/stores/s3/options.ts'
import { s3Store } from '../../../src/stores/s3/store.ts'
import { countingDatabase } from '../../support/counting-database.ts'
import { testDatabase } from '../../support/open-engine.ts'
import { startS3StandIn } from '../../support/s3-stand-in.ts'
import { testApp, testAppOver } from '../../support/test-app.ts'
import { sendWholeFile } from './sent-file.ts'

const text = 'The quick brown fox jumps over the lazy dog'

it('a download costs one query, no lock and no write', async () => {
  const { database, sent } = await countingDatabase()
  const app = await testApp({}, { database })
  const id = await sendWholeFile(app, 'a.txt', text)
  await app.engine.drained()
  const ofDownloads = () => sent.filter((name) => /lease|upload|file|lock/.test(name))
  const before = ofDownloads().length

  await app.http.inject({ url: `/v1/files/${id}/content`, headers: await app.as() })

  expect(ofDownloads().slice(before)).toEqual(['file-find'])
})

it('a link is the same for equal requests, and kept by browsers until it expires', async () => {
  const start = Date.UTC(2030, 0, 1, 0, 1)
  let at = start
  const app = await testApp({}, { now: () => new Date(at) })
  const id = await sendWholeFile(app, 'a.txt', text)

  const linkTo = async () => {
    const url = `/v1/files/${id}/links`
    return (await app.http.inject({ method: 'POST', url, headers: await app.as(), payload: {} })).json().url
  }

  const first = await linkTo()
  at += 10_000
  const second = await linkTo()

  expect(second).toBe(first)
  const expiresAt = Date.UTC(2030, 0, 1, 1, 15)
  const answer = await app.http.inject({ url: first })
  expect(answer.headers['cache-control']).toBe(`private, max-age=${(expiresAt - at) / 1000}, immutable`)

  at = expiresAt - 1000
  expect((await app.http.inject({ url: first })).statusCode).toBe(200)
  at = expiresAt
  const expired = await app.http.inject({ url: first })
  expect([expired.statusCode, expired.json().error.code]).toEqual([410, 'LINK_EXPIRED'])
  expect(expired.headers['cache-control']).toBe('no-store')
})

it('links lead to the bucket for a minute, with headers that cannot be changed', async () => {
  const server = await startS3StandIn()
  const store = s3Store(s3Options.parse({ ...server.settings, S3_PREFIX: 'up loads/' }))
  onTestFinished(() => server.close())
  const app = await testAppOver(store, { DOWNLOADS: 'redirect', STORE: 's3', S3_BUCKET: server.bucket })
  const id = await sendWholeFile(app, "it's (1) Füchse.txt", text)
  const own = `/v1/files/${id}/content`
  const headers = await app.as()
  const linking = { method: 'POST', url: `/v1/files/${id}/links`, headers, payload: {} } as const
  const { url } = (await app.http.inject(linking)).json()

  const redirected = await app.http.inject({ url })
  const location = String(redirected.headers.location)
  const read = await fetch(location, { headers: { range: 'bytes=4-8' } })
  const changed = new URL(location)
  changed.searchParams.set('response-content-type', 'text/html')

  expect([redirected.statusCode, redirected.body, redirected.headers['cache-control']]).toEqual([302, '', 'no-store'])
  expect(new URL(location).searchParams.get('X-Amz-Expires')).toBe('60')
  expect([read.status, await read.text()]).toEqual([206, 'quick'])
  expect(read.headers.get('content-type')).toBe('text/plain; charset=utf-8')
  expect(read.headers.get('content-disposition')).toMatch(/^inline; filename="it's \(1\) F_chse.txt"; filename\*=/)
  expect((await fetch(changed)).status).toBe(403)

  // A client with a token would send it along, and HEAD is not what the URL is signed for.
  expect((await app.http.inject({ url: own, headers })).body).toBe(text)
  expect((await app.http.inject({ url, headers })).body).toBe(text)
  expect((await app.http.inject({ url, method: 'HEAD' })).statusCode).toBe(200)
  expect((await app.http.inject({ url: `${own}?redirect=1`, headers })).statusCode).toBe(302)

  const held = { name: 'test-hold', text: `update contents set state = 'held' where id = $1` }
  await (await testDatabase()).query(held, [id])
  for (const asked of [{ url }, { url: `${own}?redirect=1`, headers }])
    expect((await app.http.inject(asked)).headers.location).toBeUndefined()
})
