import Fastify from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { errors } from '../../src/core/errors/errors.ts'
import { answerError, answerErrors } from '../../src/http/errors.ts'
import { loggingOptions, sendRequestId, withoutValues } from '../../src/http/logging.ts'

describe('the log', () => {
  it('has one line for a request, with its id and the upload it names', async () => {
    const { app, lines } = appThatLogs()

    const answer = await app.inject('/files/abc')

    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({
      requestId: answer.headers['x-request-id'],
      uploadId: 'abc',
      req: { method: 'GET', url: '/files/abc' },
      res: { status: 200 },
    })
  })

  it('names the upload that a request created', async () => {
    const { app, lines } = appThatLogs()

    await app.inject({ method: 'POST', url: '/files' })

    expect(lines[0]).toMatchObject({ uploadId: 'new-one' })
  })

  it('contains no token from headers or query parameters', async () => {
    const { app, lines } = appThatLogs()

    await app.inject({
      url: '/files/abc?token=swordfish&page=2&access_token=swordfish',
      headers: { authorization: 'Bearer swordfish', cookie: 'session=swordfish' },
    })

    expect(JSON.stringify(lines)).not.toContain('swordfish')
    expect(JSON.stringify(lines)).toContain('/files/abc?token=[redacted]&page=[redacted]')
  })

  it.each([
    ['in the field headers', { headers: { Cookie: 'swordfish', accept: 'text/css' } }],
    ['of an object', { sent: { headers: { authorization: 'swordfish' }, accept: 'text/css' } }],
    [
      'of an error',
      { err: Object.assign(new Error('no'), { headers: { 'x-api-key': 'swordfish', accept: 'text/css' } }) },
    ],
  ])('contains no secret header %s', (_where, fields) => {
    const { app, lines } = appThatLogs()

    app.log.info(fields, 'a line')

    expect(JSON.stringify(lines)).not.toContain('swordfish')
    expect(JSON.stringify(lines)).toContain('text/css')
  })

  it('has the message and the stack of an error with headers', () => {
    const { app, lines } = appThatLogs()

    app.log.info({ err: Object.assign(new Error('no way'), { headers: {} }) }, 'a line')

    expect(lines[0]).toMatchObject({
      err: { type: 'Error', message: 'no way', stack: expect.stringContaining('no way') },
    })
  })

  it('has the name of the level and the time in ISO 8601', async () => {
    const { app, lines } = appThatLogs()

    await app.inject('/files/abc')

    const { level, time } = lines[0] as { level: string; time: string }
    expect([level, new Date(time).toISOString()]).toEqual(['info', time])
  })

  it('has one line for a refused request, with the request and the reason', async () => {
    const { app, lines } = appThatLogs()

    await app.inject('/refused/abc')

    expect(lines).toEqual([
      expect.objectContaining({
        level: 'info',
        msg: 'request refused',
        uploadId: 'abc',
        code: 'OFFSET_MISMATCH',
        offset: 5,
        req: expect.objectContaining({ method: 'GET', url: '/refused/abc' }),
        res: { status: 409 },
      }),
    ])
  })

  it('has one line for a request that failed, with its cause', async () => {
    const { app, lines } = appThatLogs()

    await app.inject('/broken')

    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({ level: 'error', msg: 'request failed', err: { message: 'an error' } })
  })

  it('has one line for a URL that cannot be decoded', async () => {
    const { app, lines } = appThatLogs()

    await app.inject('/%E0%A4%A')

    expect(lines.map(({ msg }) => msg)).toEqual(['request refused'])
  })

  it('has no line at info for the static files of a page', async () => {
    const { app, lines } = appThatLogs()

    await app.inject('/asset')

    expect(lines).toEqual([])
  })

  it('has no line at info for health probes', async () => {
    const { app, lines } = appThatLogs()

    await app.inject('/probe')

    expect(lines).toEqual([])
  })
})

it('takes the request id of a trusted proxy and of no other client', async () => {
  const headers = { 'x-request-id': 'from-outside-1' }

  const trusting = await appThatLogs({ trustsProxy: true }).app.inject({ url: '/probe', headers })
  const distrusting = await appThatLogs().app.inject({ url: '/probe', headers })

  expect(trusting.headers['x-request-id']).toBe('from-outside-1')
  expect(distrusting.headers['x-request-id']).toMatch(/^[\w-]{36}$/)
})

it.each([
  ['/a?token=x', '/a?token=[redacted]'],
  ['/a?b=1&X-Amz-Signature=x', '/a?b=[redacted]&X-Amz-Signature=[redacted]'],
  ['/a?resume_token=x&jwt=y&authorization=z', '/a?resume_token=[redacted]&jwt=[redacted]&authorization=[redacted]'],
  ['/a?auth[token]=x', '/a?auth[token]=[redacted]'],
  ['/a?swordfish', '/a?[redacted]'],
  ['/a?eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl=1', '/a?[redacted]'],
  ['/a?a=b=c', '/a?a=[redacted]'],
  ['/a?to%6ben=x', '/a?[redacted]'],
  ['/a?b=1?token=x', '/a?b=[redacted]'],
  ['/a#token=x', '/a'],
  [`/d/${'a-_B'.repeat(16)}/notes.txt`, '/d/[redacted]/notes.txt'],
  [`/below/d/${'a-_B'.repeat(16)}?x=1`, '/below/d/[redacted]?x=[redacted]'],
  ['/files/6f1e2c3d-0000-4000-8000-00000000000a', '/files/6f1e2c3d-0000-4000-8000-00000000000a'],
  ['/a?', '/a'],
  ['/a', '/a'],
])('%s is logged as %s', (url, logged) => {
  expect(withoutValues(url)).toBe(logged)
})

function appThatLogs({ trustsProxy = false } = {}) {
  const lines: Record<string, unknown>[] = []
  const target = { write: (line: string) => lines.push(JSON.parse(line)) }
  const app = Fastify({
    ...loggingOptions({ level: 'info', format: 'json', target, trustsProxy }),
    frameworkErrors: answerError,
  })
  onTestFinished(() => app.close())
  answerErrors(app)
  sendRequestId(app)
  app.get('/files/:id', async (request) => {
    request.log.debug({ headers: request.headers }, 'at debug')
    return 'here'
  })
  app.post('/files', async (_request, reply) => reply.code(201).header('location', '/files/new-one').send())
  app.get('/refused/:id', async () => {
    throw errors.offsetMismatch({ offset: 5, provided: 7 })
  })
  app.get('/broken', async () => {
    throw new Error('an error')
  })
  app.get('/asset', { config: { isAsset: true } }, async () => 'body {}')
  app.get('/probe', { config: { isProbe: true } }, async () => 'ok')
  return { app, lines }
}
