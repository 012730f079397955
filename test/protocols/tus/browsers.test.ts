import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { chunk, serve } from './serve.ts'

const origin = 'https://app.example'
const only = { tus: { origins: [origin] } }
const exposed = [
  'Location',
  'Retry-After',
  'Tus-Checksum-Algorithm',
  'Tus-Extension',
  'Tus-Max-Size',
  'Tus-Resumable',
  'Tus-Version',
  'Upload-Concat',
  'Upload-Defer-Length',
  'Upload-Expires',
  'Upload-Length',
  'Upload-Metadata',
  'Upload-Offset',
]
const list = (header: string | undefined) => header?.split(',').map((name) => name.trim()) ?? []

describe('a page on another origin', () => {
  it.each(['/files', `/files/${randomUUID()}`])(
    'gets an answer to its preflight at %s without a token',
    async (path) => {
      const server = await serve(only)

      const answer = await server.ask({
        method: 'OPTIONS',
        path,
        headers: {
          authorization: null,
          'tus-resumable': null,
          origin,
          'access-control-request-method': 'PATCH',
          'access-control-request-headers': 'authorization,tus-resumable,upload-offset',
        },
      })

      expect(answer.status).toBe(204)
      expect(answer.headers).toMatchObject({
        'access-control-allow-origin': origin,
        'access-control-max-age': '86400',
        vary: 'Origin',
      })
      expect(list(answer.headers['access-control-allow-methods'])).toEqual(
        expect.arrayContaining(['POST', 'HEAD', 'PATCH', 'DELETE', 'OPTIONS']),
      )
      expect(list(answer.headers['access-control-allow-headers'])).toEqual(
        expect.arrayContaining([
          'Authorization',
          'Content-Type',
          'Tus-Resumable',
          'Upload-Checksum',
          'Upload-Concat',
          'Upload-Defer-Length',
          'Upload-Length',
          'Upload-Metadata',
          'Upload-Offset',
          'X-HTTP-Method-Override',
          'X-Request-ID',
        ]),
      )
    },
  )

  it('may read every header of every answer, errors too', async () => {
    const server = await serve(only)
    const path = await server.create(5)
    const requests = [
      { method: 'POST', path: '/files', headers: { origin, 'upload-length': 5 } },
      { method: 'POST', path: '/files', headers: { origin, 'upload-length': 5, authorization: null } },
      { method: 'POST', path: '/files', headers: { origin, 'upload-length': 'x' } },
      { method: 'HEAD', path, headers: { origin } },
      { method: 'HEAD', path, headers: { origin, 'tus-resumable': '0' } },
      { method: 'HEAD', path: '/files/nobody', headers: { origin } },
      { method: 'HEAD', path: `${path}/deeper`, headers: { origin } },
      { method: 'PATCH', path, headers: { origin, ...chunk, 'upload-offset': 3 }, body: 'lo' },
      { method: 'GET', path, headers: { origin } },
    ]

    const answers = []
    for (const request of requests) answers.push(await server.ask(request))

    expect(answers.map(({ status }) => status)).toEqual([201, 401, 400, 200, 412, 404, 404, 409, 405])
    for (const { headers } of answers) {
      expect(headers['access-control-allow-origin']).toBe(origin)
      expect(list(headers['access-control-expose-headers'])).toEqual(expect.arrayContaining(exposed))
    }
  })

  it('gets no CORS headers when its origin is not allowed', async () => {
    const server = await serve(only)

    const answer = await server.ask({
      method: 'POST',
      path: '/files',
      headers: { origin: 'https://evil.example', 'upload-length': 5 },
    })

    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
    expect(answer.headers['vary']).toBe('Origin')
  })

  it('may have any origin if the setting is *, and never sends cookies', async () => {
    const server = await serve({ tus: { origins: '*' } })

    const answer = await server.ask({ method: 'OPTIONS', path: '/files', headers: { origin: 'https://any.example' } })

    expect(answer.headers['access-control-allow-origin']).toBe('*')
    expect(answer.headers).not.toHaveProperty('access-control-allow-credentials')
  })
})
