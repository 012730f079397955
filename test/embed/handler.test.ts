import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createUploadHandler } from '../../src/embed/index.ts'
import { memoryStore } from '../support/memory-store.ts'
import { databaseFor, logIn, secret } from './support.ts'

const headers = { 'x-login': 'ann:pro', 'tus-resumable': '1.0.0' }

async function open(authenticate: Parameters<typeof createUploadHandler>[0]['authenticate'] = logIn as never) {
  const store = memoryStore()
  const uploads = await createUploadHandler({
    prefix: '/uploads',
    store,
    database: await databaseFor({ isMigrated: true }),
    schema: 'public',
    secret,
    authenticate,
    settings: { LOG_LEVEL: 'silent' },
  })
  onTestFinished(() => uploads.close())
  return { uploads, store }
}

async function listen(listener: RequestListener): Promise<string> {
  const server = createServer({ requestTimeout: 0 }, listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Uploads `hello` in one tus request. */
function upload(origin: string, more: Record<string, string> = headers) {
  return fetch(`${origin}/uploads/files`, {
    method: 'POST',
    headers: { ...more, 'upload-length': '5', 'content-type': 'application/offset+octet-stream' },
    body: 'hello',
  })
}

describe('a server of node:http', () => {
  it('takes uploads below the prefix, and answers 404 elsewhere', async () => {
    const { uploads, store } = await open()
    const origin = await listen(uploads)

    const created = await upload(origin)
    const elsewhere = await Promise.all(['/', '/uploadsx/files', '/v1/me'].map((path) => fetch(origin + path)))

    expect([created.status, created.headers.get('upload-offset'), store.objects.size]).toEqual([201, '5', 1])
    expect(created.headers.get('location')).toMatch(/^\/uploads\/files\//)
    expect(elsewhere.map(({ status }) => status)).toEqual([404, 404, 404])
  })
})

describe('an Express app', () => {
  it.each([
    ['at its root', undefined],
    ['at the prefix', '/uploads'],
  ])('takes uploads with its own login when they are mounted %s', async (_what, path) => {
    const { uploads, store } = await open(({ raw }) => {
      const { user } = raw as { user?: string }
      return user ? { id: user, role: 'creator' } : null
    })
    const app = express()
    app.use((request, _response, next) => {
      Object.assign(request, { user: request.get('x-user') })
      next()
    })
    if (path) app.use(path, uploads)
    else app.use(uploads)
    app.use(express.json())
    app.post('/echo', (request, response) => void response.json(request.body))
    const origin = await listen(app)

    const created = await upload(origin, { 'tus-resumable': '1.0.0', 'x-user': 'kim' })
    const unknown = await upload(origin, { 'tus-resumable': '1.0.0' })
    const me = await fetch(`${origin}/uploads/v1/me`, { headers: { 'x-user': 'kim' } })
    const echo = await fetch(`${origin}/echo`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"a":1}',
    })

    expect([created.status, unknown.status, store.objects.size]).toEqual([201, 401, 1])
    expect(await me.json()).toMatchObject({ user: 'kim' })
    expect(await echo.json()).toEqual({ a: 1 })
  })
})
