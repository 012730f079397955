import { Readable } from 'node:stream'
import fastify from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { cacheAnswers } from '../../src/http/cached-answers.ts'
import { testApp } from '../support/test-app.ts'

describe('an answer that is the same for everybody', () => {
  it('is made once and given to all, with the headers that belong to it', async () => {
    let made = 0
    const app = fastify()
    onTestFinished(() => app.close())
    cacheAnswers(app, (path) => path !== '/other')
    app.get('/json', (_request, reply) => reply.header('cache-control', 'no-cache').send({ made: ++made }))
    app.get('/stream', (_request, reply) => reply.type('text/css').send(Readable.from([`made ${++made}`])))
    app.get('/other', () => `made ${++made}`)
    app.get('/refused', (_request, reply) => reply.code(404).send(`made ${++made}`))
    const ask = async (url: string) => {
      const { body, headers } = await app.inject(url)
      return [body, headers['content-type'], headers['cache-control']]
    }

    expect(await ask('/json')).toEqual(await ask('/json?a=b'))
    expect(await ask('/json')).toEqual(['{"made":1}', 'application/json; charset=utf-8', 'no-cache'])
    expect([await ask('/stream'), await ask('/stream')]).toEqual(Array(2).fill(['made 2', 'text/css', undefined]))
    expect([(await ask('/other'))[0], (await ask('/other'))[0]]).toEqual(['made 3', 'made 4'])
    expect([(await ask('/refused'))[0], (await ask('/refused'))[0]]).toEqual(['made 5', 'made 6'])
  })
})

describe('the description of the API', () => {
  it('is the same every time, with a policy of its own', async () => {
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
    // In production.
    [{ API_DOCS: '' }, 404],
  ])('is there for everybody only when a setting says so: %o', async (env, status) => {
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
  ])('of %s tells browsers to guess, frame and follow nothing', async (url) => {
    const app = await testApp()

    const { headers } = await app.http.inject(url)

    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringMatching(/default-src '(none|self)'/),
    })
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
  })
})
