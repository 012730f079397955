import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { defaultPolicies, type PolicyDocument } from '../../../src/core/policy/policy.ts'
import { userOf } from '../../../src/core/upload.ts'
import { announceRufh } from '../../../src/protocols/rufh/discovery.ts'
import type { RawAnswer } from '../../support/raw-http.ts'
import { appendHeaders, asAda, interop, lastIn, serve } from './serve.ts'

const policies = () => ({ ...defaultPolicies, users: { ada: { maxSize: 50 } } })

describe('OPTIONS', () => {
  it.each([6, 7, 8, 9, 10])('tells, in version %i, that uploads can be resumed', async (version) => {
    const server = await serve()

    const answer = await server.ask({ method: 'OPTIONS', path: '/files', headers: interop(version) })

    expect(answer.status).toBe(204)
    expect(answer.headers['upload-limit']).toBe('max-size=1000, min-size=0')
    expect(answer.headers['accept-patch']).toBe('application/partial-upload')
  })

  it('that another protocol answers tells it too', async () => {
    const server = await serve({
      beside(app, options) {
        announceRufh(app, options)
        app.options('/files', async (_request, reply) => {
          // As @tus/server answers: with a web Response.
          return reply.send(new Response(null, { status: 204, headers: { 'tus-version': '1.0.0' } }))
        })
        app.options('/elsewhere', async (_request, reply) => reply.code(204).send())
      },
    })

    const here = await server.ask({ method: 'OPTIONS', path: '/files' })
    const elsewhere = await server.ask({ method: 'OPTIONS', path: '/elsewhere' })

    expect(here.headers).toMatchObject({ 'tus-version': '1.0.0', 'upload-limit': 'max-size=1000, min-size=0' })
    expect(elsewhere.headers).not.toHaveProperty('upload-limit')
  })
})

describe('a file that is too large', () => {
  it.each([6, 8, 10])('is refused with the limits before it is sent, in version %i', async (version) => {
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

  it('is refused with the limits when nobody knew its length', async () => {
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

it('what was allowed when an upload began is allowed to its end', async () => {
  const server = await serve({ policies })
  const headers = { ...interop(10), 'upload-complete': '?0' }

  const created = await server.ask({ method: 'POST', path: '/files', headers, body: randomBytes(49) })
  const path = created.headers['location']!
  const seen = await server.ask({ method: 'HEAD', path, headers: interop(10) })
  // A single byte: no least size of an append is told, and none is asked for.
  const ended = await server.ask({ method: 'PATCH', path, headers: appendHeaders(10, 49, true), body: 'x' })

  const limitsIn = (answer: RawAnswer) => answer.headers['upload-limit']?.replace(/, max-age=\d+/, '')
  expect([...created.interims, created, seen].map((answer) => limitsIn(answer as RawAnswer))).toEqual(
    Array.from({ length: 3 }, () => 'max-size=50, min-size=0'),
  )
  expect(ended.headers['upload-complete']).toBe('?1')
})

it('an upload keeps the limits that were told when it began, whatever its owner may begin by now', async () => {
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

it('an upload is not lost to its owner when the token has another role by now', async () => {
  const server = await serve()
  const path = await beginTen(server)
  const other = { authorization: 'Bearer ada:nobody' }

  const seen = await server.ask({ method: 'HEAD', path, headers: { ...interop(8), ...other } })
  const ended = await server.ask({ method: 'PATCH', path, headers: { ...appendHeaders(8, 10, true), ...other } })

  expect([seen.status, seen.headers['upload-offset']]).toEqual([204, '10'])
  expect([ended.status, ended.headers['upload-complete']]).toEqual([201, '?1'])
})

it('an upload whose role may send nothing any more is not completed', async () => {
  let now: PolicyDocument = defaultPolicies
  const server = await serve({ policies: () => now })
  const path = await beginTen(server)
  now = { ...defaultPolicies, roles: {} }

  const answer = await server.ask({ method: 'PATCH', path, headers: appendHeaders(8, 10, true), body: '' })

  expect([answer.status, answer.json()]).toMatchObject([403, { error: { code: 'ROLE_NOT_ALLOWED' } }])
  expect(await server.objectOf(path)).toBeUndefined()
})

it('an upload that is larger than one may begin by now is completed, as it was told', async () => {
  let now: PolicyDocument = defaultPolicies
  const server = await serve({ policies: () => now })
  const path = await beginTen(server)
  now = { ...defaultPolicies, users: { ada: { maxSize: 9 } } }

  const answer = await server.ask({ method: 'PATCH', path, headers: appendHeaders(8, 10, true), body: '' })

  expect(answer.headers['upload-complete']).toBe('?1')
  expect(await server.objectOf(path)).toHaveLength(10)
})

it('every Location of an exchange is the same', async () => {
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

it('the address of an upload is unique and tells nothing', async () => {
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

  it('may ask for what RUFH needs', async () => {
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

  it('may read the answers, refusals too', async () => {
    const server = await serve({ rufh: { origins: [origin] } })
    const create = (headers: Record<string, string>) =>
      server.ask({ method: 'POST', path: '/files', headers: { ...asAda, 'upload-complete': '?0', origin, ...headers } })

    for (const answer of [await create({}), await create({ authorization: '' })]) {
      expect(answer.headers['access-control-allow-origin']).toBe(origin)
      expect(answer.headers['access-control-expose-headers']).toContain('Upload-Offset')
    }
  })

  it('may not when it is not one of those that may', async () => {
    const server = await serve({ rufh: { origins: [origin] } })

    const answer = await server.ask({
      method: 'POST',
      path: '/files',
      headers: { 'upload-complete': '?0', origin: 'https://evil.example' },
    })

    expect(answer.headers).not.toHaveProperty('access-control-allow-origin')
  })
})

/** An upload that has its ten bytes and has not been told that they are all. */
async function beginTen(server: Awaited<ReturnType<typeof serve>>): Promise<string> {
  const headers = { ...interop(8), 'upload-complete': '?0', 'upload-length': 10 }
  const { headers: told } = await server.ask({ method: 'POST', path: '/files', headers, body: randomBytes(10) })
  return told['location']!
}
