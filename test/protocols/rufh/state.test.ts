import fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import { decorateRequests } from '../../../src/protocols/rufh/state.ts'

describe('the state of a RUFH request', () => {
  it('belongs to its request, and to the scope of RUFH only', async () => {
    const app = fastify()
    await app.register(async (scope) => {
      decorateRequests(scope)
      scope.get('/rufh', async (request) => {
        const before = request.canResume
        request.canResume = true
        return { version: request.dialect.version, isNamed: request.dialect.isNamed, before }
      })
    })
    app.get('/beside', async (request) => ({ has: 'dialect' in request || 'canResume' in request }))

    const headers = { 'upload-draft-interop-version': '6' }
    const first = await app.inject({ url: '/rufh', headers })
    const second = await app.inject('/rufh')
    const beside = await app.inject({ url: '/beside', headers })

    expect(first.json()).toEqual({ version: 6, isNamed: true, before: false })
    expect(second.json()).toEqual({ version: 10, isNamed: false, before: false })
    expect(beside.json()).toEqual({ has: false })
  })
})
