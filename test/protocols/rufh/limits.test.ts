import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { defaultPolicies, type PolicyDocument } from '../../../src/core/policy/policy.ts'
import { userOf } from '../../../src/core/upload.ts'
import { announceRufh } from '../../../src/protocols/rufh/discovery.ts'
import type { RawAnswer } from '../../support/raw-http.ts'
import { appendHeaders, asAda, interop, lastIn, serve } from './serve.ts'

const policies = () => ({ ...defaultPolicies, users: { ada: { maxSize: 50 } } })

describe('OPTIONS', () => {
  it.each([6, 7, 8, 9, 10])('answers Upload-Limit and Accept-Patch in version %i', async (version) => {
    const server = await serve()

    const answer = await server.ask({ method: 'OPTIONS', path: '/files', headers: interop(version) })

    expect(answer.status).toBe(204)
    expect(answer.headers['upload-limit']).toBe('max-size=1000, min-size=0')
    expect(answer.headers['accept-patch']).toBe('application/partial-upload')
  })

  it('has Upload-Limit when another protocol answers it', async () => {
    const server = await serve({
      beside(app, options) {
        announceRufh(app, options)
        app.options('/files', async (_request, reply) => {
          // @tus/server answers with a web Response.
          return reply.send(new Response(null, { status: 204, headers: { 'tus-version': '1.0.0' } }))
        })
        app.options('/elsewhere', async (_request, reply) => reply.code(204).send())
      },
    })

    const endpoint = await server.ask({ method: 'OPTIONS', path: '/files' })
    const elsewhere = await server.ask({ method: 'OPTIONS', path: '/elsewhere' })

    expect(endpoint.headers).toMatchObject({ 'tus-version': '1.0.0', 'upload-limit': 'max-size=1000, min-size=0' })
    expect(elsewhere.headers).not.toHaveProperty('upload-limit')
  })
})

describe('a file that is too large', () => {
  it.each([6, 8, 10])('is 413 with Upload-Limit before it is sent, in version %i', async (version) => {
    const server = await serve({ policies })

    const answer = await server.ask({
      method: 'POST',
      path: '/files',
      headers: { ...interop(version), ...lastIn(version, true) },
      body: randomBytes(51),
    })

    expect(answer.status).toBe(413)
    expect(answer.headers['upload-limit']).toBe('max-size=50, min-size=0')
    expect(answer.interims).toEqual([])
    expect(answer.json()).toMatchObject({ status: 413, error: { code: 'FILE_TOO_LARGE' } })
  })

  it('is 413 with Upload-Limit when its length was unknown', async () => {
    const server = await serve({ policies })

    const answer = await server.ask({
      method: 'POST',
      path: '/files',
      headers: { ...interop(10), 'upload-complete': '?1', 'transfer-encoding': 'chunked' },
      body: `40\r\n${'x'.repeat(64)}\r\n0\r\n\r\n`,
    })

    expect(answer.status).toBe(413)
    expect(answer.headers['upload-limit']).toBe('max-size=50, min-size=0')
  })
})

it('every answer about an upload has the limits of its creation', async () => {
  const server = await serve({ policies })
  const headers = { ...interop(10), 'upload-complete': '?0' }

  const created = await server.ask({ method: 'POST', path: '/files', headers, body: randomBytes(49) })
  const path = created.headers['location']!
  const head = await server.ask({ method: 'HEAD', path, headers: interop(10) })
  // A single byte is enough: Upload-Limit has no min-append-size.
  const completed = await server.ask({ method: 'PATCH', path, headers: appendHeaders(10, 49, true), body: 'x' })

  const limitsIn = (answer: RawAnswer) => answer.headers['upload-limit']?.replace(/, max-age=\d+/, '')
  expect([...created.interims, created, head].map((answer) => limitsIn(answer as RawAnswer))).toEqual(
    Array.from({ length: 3 }, () => 'max-size=50, min-size=0'),
  )
  expect(completed.headers['upload-complete']).toBe('?1')
})

it('an upload keeps the limits of its creation after the policies change', async () => {
  let now: PolicyDocument = { ...defaultPolicies, users: { ada: { maxSize: 50 } } }
  const server = await serve({ policies: () => now })
  const created = { method: 'POST', path: '/files', headers: { ...interop(8), 'upload-complete': '?0' } }
  const path = (await server.ask({ ...created, body: randomBytes(10) })).headers['location']!
  now = { ...defaultPolicies, users: { ada: { maxSize: 20 } } }

  const answers = [
    await server.ask({ method: 'HEAD', path, headers: interop(8) }),
    await server.ask({ method: 'PATCH', path, headers: appendHeaders(8, 10, false), body: randomBytes(15) }),
    await server.ask({ method: 'PATCH', path, headers: appendHeaders(8, 25, true), body: randomBytes(26) }),
  ]

  expect(answers.map(({ status }) => status)).toEqual([204, 204, 413])
  for (const { headers } of answers) expect(headers['upload-limit']).toMatch(/^max-size=50, min-size=0\b/)
})

it('the owner of an upload can complete it with a token of another role', async () => {
  const server = await serve()
  const path = await createTen(server)
  const other = { authorization: 'Bearer ada:nobody' }

  const head = await server.ask({ method: 'HEAD', path, headers: { ...interop(8), ...other } })
  const completed = await server.ask({ method: 'PATCH', path, headers: { ...appendHeaders(8, 10, true), ...other } })

  expect([head.status, head.headers['upload-offset']]).toEqual([204, '10'])
  expect([completed.status, completed.headers['upload-complete']]).toEqual([201, '?1'])
})

it('an upload is not completed when its role may no longer send files', async () => {
  let now: PolicyDocument = defaultPolicies
  const server = await serve({ policies: () => now })
  const path = await createTen(server)
  now = { ...defaultPolicies, roles: {} }

  const answer = await server.ask({ method: 'PATCH', path, headers: appendHeaders(8, 10, true), body: '' })

  expect([answer.status, answer.json()]).toMatchObject([403, { error: { code: 'ROLE_NOT_ALLOWED' } }])
  expect(await server.objectOf(path)).toBeUndefined()
})

it('an upload above a limit that was lowered later can be completed', async () => {
  let now: PolicyDocument = defaultPolicies
  const server = await serve({ policies: () => now })
  const path = await createTen(server)
  now = { ...defaultPolicies, users: { ada: { maxSize: 9 } } }

  const answer = await server.ask({ method: 'PATCH', path, headers: appendHeaders(8, 10, true), body: '' })

  expect(answer.headers['upload-complete']).toBe('?1')
  expect(await server.objectOf(path)).toHaveLength(10)
})

it('every Location in the answers to one request is the same', async () => {
  const server = await serve({ rufh: { publicUrl: 'https://files.example/up/', progressEveryMs: 0 } })

  const answer = await server.ask({
    method: 'POST',
    path: '/files',
    headers: { ...interop(8), 'upload-complete': '?0' },
    body: randomBytes(95),
  })

  const locations = [...answer.interims, answer].flatMap(({ headers }) => headers['location'] ?? [])
  expect(locations.length).toBe(2)
  expect(new Set(locations).size).toBe(1)
  expect(locations[0]).toMatch(/^https:\/\/files\.example\/up\/files\/[0-9a-f-]{36}$/)
})

it('the URL of an upload is unique and reveals neither name nor key', async () => {
  const server = await serve()
  const create = async () =>
    (
      await server.ask({
        method: 'POST',
        path: '/files',
        headers: { 'upload-complete': '?0', 'content-disposition': 'inline; filename="secret.txt"' },
      })
    ).headers['location']!

  const [one, other] = [await create(), await create()]

  expect(one).not.toBe(other)
  expect(one).not.toContain('secret')
  const { key } = await server.engine.get(userOf('ada', 'creator'), one.split('/').at(-1)!)
  expect(key).not.toContain(one.split('/').at(-1))
})

describe('a page on another origin', () => {
  const origin = 'https://app.example'

  it('may send the headers and methods of RUFH', async () => {
    const server = await serve({ rufh: { origins: [origin] } })

    const answer = await server.ask({
      method: 'OPTIONS',
      path: '/files',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'upload-complete,upload-draft-interop-version',
      },
    })

    expect(answer.status).toBe(204)
    expect(answer.headers['access-control-allow-origin']).toBe(origin)
    expect(answer.headers['vary']).toBe('Origin')
    expect(answer.headers['access-control-allow-methods']).toContain('PATCH')
    expect(answer.headers['access-control-allow-headers']?.toLowerCase()).toContain('upload-draft-interop-version')
  })

  it('may read every answer, errors too', async () => {
    const server = await serve({ rufh: { origins: [origin] } })
    const create = (headers: Record<string, string>) =>
      server.ask({ method: 'POST', path: '/files', headers: { ...asAda, 'upload-complete': '?0', origin, ...headers } })

    for (const answer of [await create({}), await create({ authorization: '' })]) {
      expect(answer.headers['access-control-allow-origin']).toBe(origin)
      expect(answer.headers['access-control-expose-headers']).toContain('Upload-Offset')
    }
  })

  it('gets no CORS headers when its origin is not allowed', async () => {
    const server = await serve({ rufh: { origins: [origin] } })

    const answer = await server.ask({
      method: 'POST',
      path: '/files',
      headers: { 'upload-complete': '?0', origin: 'https://evil.example' },
    })

    expect(answer.headers).not.toHaveProperty('access-control-allow-origin')
  })
})

/** Creates an upload that has all of its ten bytes and is not complete. @returns its path */
async function createTen(server: Awaited<ReturnType<typeof serve>>): Promise<string> {
  const headers = { ...interop(8), 'upload-complete': '?0', 'upload-length': 10 }
  const answer = await server.ask({ method: 'POST', path: '/files', headers, body: randomBytes(10) })
  return answer.headers['location']!
}
