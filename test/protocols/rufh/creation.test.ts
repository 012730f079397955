import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { interop, lastIn, serve } from './serve.ts'

const versions = [3, 4, 5, 6, 7, 8, 9, 10]

describe.each(versions)('a creation of interop version %i', (version) => {
  it('with the whole file completes the upload', async () => {
    const server = await serve()
    const body = randomBytes(47)

    const answer = await server.ask({
      method: 'POST',
      path: '/files',
      headers: { ...interop(version), ...lastIn(version, true) },
      body,
    })

    expect(answer.status).toBe(201)
    expect(answer.headers).toMatchObject({ ...lastIn(version, true), 'upload-offset': '47' })
    expect(await server.objectOf(answer.headers['location']!)).toEqual(body)
  })

  it('with the first bytes leaves the upload open', async () => {
    const server = await serve()

    const answer = await server.ask({
      method: 'POST',
      path: '/files',
      headers: { ...interop(version), ...lastIn(version, false) },
      body: randomBytes(23),
    })

    expect(answer.status).toBe(201)
    expect(answer.headers).toMatchObject({ ...lastIn(version, false), 'upload-offset': '23' })
    expect(await server.sessionOf(answer.headers['location']!)).toMatchObject({ state: 'receiving', offset: 23 })
  })

  it('announces the upload before the body is in, and points to the same place to the end', async () => {
    const server = await serve()

    const answer = await server.ask({
      method: 'POST',
      path: '/files',
      headers: { ...interop(version), ...lastIn(version, true) },
      body: randomBytes(23),
    })

    const [first] = answer.interims
    expect(first).toMatchObject({ status: 104, headers: { 'upload-draft-interop-version': String(version) } })
    expect(first?.headers['location']).toMatch(/^\/files\/[0-9a-f-]{36}$/)
    expect(answer.headers['location']).toBe(first?.headers['location'])
  })
})
