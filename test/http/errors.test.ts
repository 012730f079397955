import Fastify from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type ErrorCode, errorCodes, UploadError } from '../../src/core/errors/error.ts'
import { answerError, answerErrors } from '../../src/http/errors.ts'

describe('an error', () => {
  it.each(Object.entries(errorCodes) as [ErrorCode, number][])(
    '%s is answered with %i and the common form of body',
    async (code, status) => {
      const { app } = appThatThrows(new UploadError(code, 'A sentence.', { limit: 7 }))

      const answer = await app.inject('/')

      expect(answer.statusCode).toBe(status)
      expect(answer.headers['content-type']).toMatch('application/json')
      expect(answer.json()).toEqual({ error: { code, message: 'A sentence.', timestamp: expect.any(String) } })
      expect(new Date(answer.json().error.timestamp).getTime()).toBeCloseTo(Date.now(), -4)
    },
  )

  it.each(['UPLOAD_LOCKED', 'RATE_LIMITED', 'STORE_UNAVAILABLE'] as const)('%s has Retry-After', async (code) => {
    const { app } = appThatThrows(new UploadError(code, 'Later.'))

    expect(Number((await app.inject('/')).headers['retry-after'])).toBeGreaterThan(0)
  })

  it('that is unexpected is logged once with its cause and not sent to the client', async () => {
    const { app, lines } = appThatThrows(new Error('password=swordfish at db.internal'))

    const answer = await app.inject('/')

    expect(answer.statusCode).toBe(500)
    expect(answer.json().error.code).toBe('INTERNAL_ERROR')
    expect(answer.body).not.toContain('swordfish')
    expect(lines.filter((line) => line.includes('swordfish'))).toHaveLength(1)
  })

  it('that is not an Error object is answered too', async () => {
    const { app } = appThatThrows('just text')

    expect((await app.inject('/')).statusCode).toBe(500)
  })
})

describe('a request that Fastify refuses', () => {
  it.each([
    ['a parameter out of range', { url: '/list?limit=0' }, 400, 'INVALID_REQUEST'],
    ['a body that is not JSON', post('{', 'application/json'), 400, 'INVALID_REQUEST'],
    ['a body of unknown type', post('a', 'text/x-unknown'), 415, 'UNSUPPORTED_CONTENT_TYPE'],
    ['a body that is too large', post(JSON.stringify('a'.repeat(2000)), 'application/json'), 413, 'FILE_TOO_LARGE'],
    ['a path without a route', { url: '/nowhere' }, 404, 'NOT_FOUND'],
    ['a body that ends early', { method: 'POST' as const, url: '/broken' }, 400, 'INVALID_REQUEST'],
    ['a path that cannot be decoded', { url: '/%zz' }, 400, 'INVALID_REQUEST'],
  ])('has the common form: %s', async (_what, request, status, code) => {
    const { app } = appThatThrows(new Error('unused'))
    app.get(
      '/list',
      { schema: { querystring: { type: 'object', properties: { limit: { type: 'integer', minimum: 1 } } } } },
      () => [],
    )
    app.post('/broken', () => {
      // What Fastify throws when the client disconnects while it reads the body.
      throw Object.assign(new Error('aborted'), { code: 'ECONNRESET', statusCode: 400 })
    })
    app.post('/', { bodyLimit: 1000 }, () => 'read')

    const answer = await app.inject(request)

    expect(answer.statusCode).toBe(status)
    expect(answer.json()).toMatchObject({ error: { code } })
  })
})

function post(payload: string, type: string) {
  return { method: 'POST' as const, url: '/', payload, headers: { 'content-type': type } }
}

function appThatThrows(thrown: unknown) {
  const lines: string[] = []
  const app = Fastify({
    frameworkErrors: answerError,
    logger: { level: 'info', stream: { write: (line: string) => lines.push(line) } },
  })
  onTestFinished(() => app.close())
  answerErrors(app)
  app.get('/', () => {
    throw thrown
  })
  return { app, lines }
}
