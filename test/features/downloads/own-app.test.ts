import { expect, it } from 'vitest'
import { countingDatabase } from '../../support/counting-database.ts'
import { testApp } from '../../support/test-app.ts'
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
