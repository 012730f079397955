import { Readable } from 'node:stream'
import fastify from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { cacheAnswers } from '../../src/http/cached-answers.ts'
import { testApp } from '../support/test-app.ts'

describe('an answer that is the same for every client', () => {
  it('is rendered once and sent to all clients with the same headers', async () => {
    let rendered = 0
    const app = fastify()
    onTestFinished(() => app.close())
    cacheAnswers(app, (path) => path !== '/other')
    app.get('/json', (_request, reply) => reply.header('cache-control', 'no-cache').send({ rendered: ++rendered }))
    app.get('/stream', (_request, reply) => reply.type('text/css').send(Readable.from([`rendered ${++rendered}`])))
    app.get('/other', () => `rendered ${++rendered}`)
    app.get('/refused', (_request, reply) => reply.code(404).send(`rendered ${++rendered}`))
    const get = async (url: string) => {
      const { body, headers } = await app.inject(url)
      return [body, headers['content-type'], headers['cache-control']]
    }

    expect(await get('/json')).toEqual(await get('/json?a=b'))
    expect(await get('/json')).toEqual(['{"rendered":1}', 'application/json; charset=utf-8', 'no-cache'])
    expect([await get('/stream'), await get('/stream')]).toEqual(Array(2).fill(['rendered 2', 'text/css', undefined]))
    expect([(await get('/other'))[0], (await get('/other'))[0]]).toEqual(['rendered 3', 'rendered 4'])
    expect([(await get('/refused'))[0], (await get('/refused'))[0]]).toEqual(['rendered 5', 'rendered 6'])
  })
})

describe('the OpenAPI description', () => {
  it('is the same every time and has its own content security policy', async () => {
    const app = await testApp()

    for (const url of ['/docs', '/docs/json', '/docs/static/swagger-ui.css']) {
      const [first, second] = [await app.http.inject(url), await app.http.inject(url)]
      expect([second.statusCode, second.body, second.headers['content-type']]).toEqual([
        200,
        first.body,
        first.headers['content-type'],
      ])
      expect(second.headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'content-security-policy': expect.stringContaining("default-src 'self'"),
      })
    }
  })

  it.each([
    [{ API_DOCS: 'false' }, 404],
    [{ API_DOCS: 'true' }, 200],
    // The default in production.
    [{ API_DOCS: '' }, 404],
  ])('is public only if the setting says so: %o answers %i', async (env, status) => {
    const app = await testApp(env as Record<string, string>)

    expect((await app.http.inject('/docs/json')).statusCode).toBe(status)
  })
})

describe('every answer', () => {
  it.each([
    '/v1/me',
    '/v1/not-there',
    '/api/upload/x/status',
    '/files/x',
    '/health',
    '/not-there',
    '/%zz',
    '/docs',
    '/',
  ])('of %s forbids sniffing, framing and loading', async (url) => {
    const app = await testApp()

    const { headers } = await app.http.inject(url)

    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringMatching(/default-src '(none|self)'/),
    })
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
  })
})
