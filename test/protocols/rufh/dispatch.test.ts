import { describe, expect, it } from 'vitest'
import { isRufh } from '../../../src/protocols/rufh/dispatch.ts'
import { asAda, interop, serve } from './serve.ts'

describe('a request', () => {
  it.each([
    ['POST', { 'upload-complete': '?1' }, true],
    ['POST', { 'upload-incomplete': '?0' }, true],
    ['POST', { 'upload-draft-interop-version': '6' }, true],
    ['POST', { 'content-type': 'application/partial-upload' }, true],
    ['POST', { 'content-type': 'text/plain' }, false],
    ['POST', { 'tus-resumable': '1.0.0' }, false],
    // tus-js-client sends both when an application adds headers of RUFH.
    ['PATCH', { 'tus-resumable': '1.0.0', 'upload-complete': '?1' }, false],
    ['PATCH', { 'content-type': 'application/offset+octet-stream' }, false],
    ['PATCH', { 'content-type': 'application/partial-upload' }, true],
    ['PATCH', {}, true],
    ['HEAD', {}, true],
    ['DELETE', {}, true],
    ['HEAD', { 'tus-resumable': '1.0.0' }, false],
    ['GET', {}, false],
    ['GET', { 'upload-draft-interop-version': '10' }, true],
    ['OPTIONS', {}, false],
    ['OPTIONS', { 'upload-draft-interop-version': '10' }, true],
    ['OPTIONS', { 'access-control-request-headers': 'authorization, Upload-Draft-Interop-Version' }, true],
    ['OPTIONS', { 'access-control-request-headers': 'tus-resumable,upload-complete' }, false],
    ['OPTIONS', { 'access-control-request-headers': 'authorization' }, false],
  ])('%s with %j: RUFH %s', (method, headers, expected) => {
    expect(isRufh({ method, headers })).toBe(expected)
  })
})

describe('another protocol at the same path', () => {
  const besideTus = () =>
    serve({
      beside(app) {
        app.route({
          method: ['OPTIONS', 'HEAD', 'POST', 'PATCH', 'DELETE'],
          url: '/files/*',
          exposeHeadRoute: false,
          handler: (_request, reply) => reply.header('protocol', 'other').send(),
        })
        app.post('/files', (_request, reply) => reply.header('protocol', 'other').send())
      },
    })

  it('gets every request that is not RUFH, and no others', async () => {
    const server = await besideTus()
    const protocolOf = async (method: string, path: string, headers: Record<string, string>) =>
      (await server.ask({ method, path, headers })).headers['protocol'] ?? 'rufh'
    const tus = { 'tus-resumable': '1.0.0' }

    expect(await protocolOf('POST', '/files', tus)).toBe('other')
    expect(await protocolOf('POST', '/files', { 'upload-complete': '?0' })).toBe('rufh')
    expect(await protocolOf('HEAD', '/files/1', tus)).toBe('other')
    expect(await protocolOf('HEAD', '/files/1', {})).toBe('rufh')
    expect(await protocolOf('PATCH', '/files/1', tus)).toBe('other')
    expect(await protocolOf('DELETE', '/files/1', {})).toBe('rufh')
  })
})

it('an upload takes POST with a method override, but no PUT', async () => {
  const server = await serve()
  const { headers } = await server.ask({ method: 'POST', path: '/files', headers: { 'upload-complete': '?0' } })
  const path = headers['location']!

  const put = await server.ask({ method: 'PUT', path, headers: { 'upload-complete': '?1' }, body: 'all of it' })
  const get = await server.ask({ method: 'GET', path, headers: interop(6) })
  const patched = await server.ask({
    method: 'POST',
    path,
    headers: { ...interop(5), 'x-http-method-override': 'PATCH', 'upload-offset': 0, 'upload-complete': '?0' },
    body: 'some',
  })

  expect(put.status).toBe(405)
  expect(put.headers['allow']).toContain('PATCH')
  expect(get.status).toBe(405)
  expect(patched.headers['upload-offset']).toBe('4')
})

it('every method without a token is 401 with problem details', async () => {
  const server = await serve()
  const { headers } = await server.ask({ method: 'POST', path: '/files', headers: { 'upload-complete': '?0' } })
  const path = headers['location']!

  for (const [method, at] of [
    ['POST', '/files'],
    ['HEAD', path],
    ['PATCH', path],
    ['DELETE', path],
  ] as const) {
    const answer = await server.ask({ method, path: at, headers: { ...interop(8), authorization: '' } })
    expect([method, answer.status]).toEqual([method, 401])
    if (method !== 'HEAD') expect(answer.json()).toMatchObject({ status: 401, error: { code: 'UNAUTHENTICATED' } })
  }
})

it("every method on another user's upload is 404", async () => {
  const server = await serve()
  const { headers } = await server.ask({ method: 'POST', path: '/files', headers: { 'upload-complete': '?0' } })
  const path = headers['location']!
  const asEve = { ...asAda, authorization: 'Bearer eve:creator', ...interop(8) }

  const answers = [
    await server.ask({ method: 'HEAD', path, headers: asEve }),
    await server.ask({ method: 'DELETE', path, headers: asEve }),
    await server.ask({
      method: 'PATCH',
      path,
      headers: { ...asEve, 'upload-offset': 0, 'upload-complete': '?1', 'content-type': 'application/partial-upload' },
      body: 'mine now',
    }),
    await server.ask({
      method: 'PATCH',
      path,
      headers: { ...asEve, 'upload-offset': 0, 'upload-complete': '?1', 'content-type': 'application/partial-upload' },
    }),
  ]

  expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404])
  for (const answer of answers) expect(answer.headers).not.toHaveProperty('upload-offset')
})
