import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import type { Hooks } from '../../../src/features/hooks.ts'
import { typeHooks } from '../../../src/features/operator-hooks/typed.ts'
import { testApp } from '../../support/test-app.ts'

const ann = userOf('ann', 'creator')
const creation = { size: 5, filename: 'a.txt', contentType: 'text/plain' }
const tus = { 'tus-resumable': '1.0.0' }

describe('authorize', () => {
  const authorizeWith = (authorize: unknown) =>
    typeHooks({ authorize } as Hooks, 50).authorize!({ actor: ann, action: 'list' })

  it('allows the request when it returns true', async () => {
    await authorizeWith(() => true)
    await authorizeWith(async () => true)
  })

  it.each([
    ['false', false, 'FORBIDDEN', 'You are not allowed to do this.'],
    ['a reason', { because: 'Your plan has ended.' }, 'FORBIDDEN', 'Your plan has ended.'],
    ['hidden', 'hidden', 'UPLOAD_NOT_FOUND', 'There is no such upload.'],
  ])('refuses with %s', async (_what, verdict, code, message) => {
    await expect(authorizeWith(() => verdict)).rejects.toMatchObject({ code, message })
  })

  it.each([
    ['returns undefined', () => undefined],
    ['returns another word', () => 'yes'],
    ['returns null', () => null],
    ['returns a reason that is no text', () => ({ because: 7 })],
    [
      'throws',
      () => {
        throw new Error('broken')
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('broken')
      },
    ],
    [
      'throws undefined',
      () => {
        throw undefined
      },
    ],
    ['never resolves', () => new Promise(() => {})],
  ])('refuses the request with 503 when it %s', async (_what, authorize) => {
    await expect(authorizeWith(authorize)).rejects.toMatchObject({ code: 'IDENTITY_UNAVAILABLE', status: 503 })
  })

  it('cannot change the actor', async () => {
    const actor = { ...ann }

    await typeHooks({ authorize: ({ actor: given }) => (given.isAdmin = true) }, 50).authorize!({
      actor,
      action: 'list',
    })

    expect(actor).toEqual(ann)
  })
})

describe('identify', () => {
  const identify = (identified: unknown) => {
    const hooks = { identify: () => identified } as unknown as Hooks
    return typeHooks(hooks, 50).identify!({ method: 'GET', url: '/', headers: {}, ip: '' })
  }

  it('returns a user with the fields that a token has', async () => {
    expect(await identify({ id: 'ann', role: 'creator' })).toEqual(ann)
    expect(await identify({ id: 'ann', role: 'creator', tenant: 'acme', isAdmin: true, scopes: ['read'] })).toEqual(
      userOf('ann', 'creator', { tenant: 'acme', isAdmin: true, scopes: ['read'] }),
    )
    expect(await identify(null)).toBeNull()
  })

  it.each([
    ['undefined', undefined],
    ['a user without a role', { id: 'ann' }],
    ['an empty user', { id: '', role: 'creator' }],
    ['the user of an API key', { id: 'key:1', role: 'creator' }],
    ['an unknown scope', { id: 'ann', role: 'creator', scopes: ['all'] }],
    ['a text', 'ann'],
  ])('cannot return %s', async (_what, identified) => {
    await expect(identify(identified)).rejects.toMatchObject({ status: 503 })
  })
})

describe('a server with hooks', () => {
  it('calls authorize for every action, and again before completion', async () => {
    const { app, calls } = await withHooks(`{
      authorize: ({ actor, action, upload, creation }) => {
        calls.push([actor.id, action, upload?.filename ?? creation?.filename ?? null])
        return true
      },
    }`)
    const headers = { ...(await app.as()), ...tus }

    const created = await app.http.inject({
      method: 'POST',
      url: '/files',
      headers: { ...headers, 'upload-length': '5' },
    })
    await app.http.inject({ method: 'HEAD', url: created.headers.location!, headers })
    await app.http.inject({
      method: 'PATCH',
      url: created.headers.location!,
      headers: { ...headers, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' },
      payload: 'hello',
    })
    await app.http.inject({ url: '/v1/uploads', headers })

    expect(calls()).toEqual([
      ['ada', 'create', 'file'],
      ['ada', 'read', 'file'],
      ['ada', 'append', 'file'],
      ['ada', 'complete', 'file'],
      ['ada', 'list', null],
    ])
  })

  it('answers a refused request in the format of its protocol', async () => {
    const { app } = await withHooks(`{
      authorize: ({ action }) => (action === 'create' ? { because: 'Your plan has ended.' } : action === 'list' ? 'hidden' : true),
    }`)
    const headers = await app.as()

    const refused = await app.http.inject({
      method: 'POST',
      url: '/files',
      headers: { ...headers, ...tus, 'upload-length': '5' },
    })
    const hidden = await app.http.inject({ url: '/v1/uploads', headers })

    expect([refused.statusCode, refused.json().error.message]).toEqual([403, 'Your plan has ended.'])
    expect(hidden.statusCode).toBe(404)
  })

  it('answers 503 while a hook fails, and does not reveal its error', async () => {
    const { app } = await withHooks(`{ authorize: () => { throw new Error('swordfish') } }`)

    const response = await app.http.inject({ url: '/v1/uploads', headers: await app.as() })

    expect([response.statusCode, response.json().error.code]).toEqual([503, 'IDENTITY_UNAVAILABLE'])
    expect(response.headers['retry-after']).toBe('5')
    expect(response.body).not.toContain('swordfish')
  })

  it('takes object keys from nameObject, made safe and unique', async () => {
    const { app } = await withHooks(
      `{ nameObject: ({ actor, creation }) => '/../.landfall/' + actor.id + '//' + creation.filename }`,
    )

    const keys = await Promise.all(
      ['a.txt', '../../etc/passwd', '.htaccess'].map(async (filename) => {
        const { key } = await app.engine.create(ann, { ...creation, filename })
        return key.replace(/[0-9a-f]{32}/, '*')
      }),
    )

    expect(keys).toEqual(['landfall/ann/*-a.txt', 'landfall/ann/etc/*-passwd', 'landfall/ann/*-htaccess'])
  })

  it('identifies requests without a token by identify', async () => {
    const { app } = await withHooks(`{
      identify: ({ headers }) => (headers['x-user'] ? { id: headers['x-user'], role: 'member' } : null),
    }`)

    const known = await app.http.inject({ url: '/v1/me', headers: { 'x-user': 'ann' } })
    const unknown = await app.http.inject({ url: '/v1/me' })
    const withToken = await app.http.inject({ url: '/v1/me', headers: { 'x-user': 'ann', ...(await app.as()) } })

    expect([known.json().user, unknown.statusCode, withToken.json().user]).toEqual(['ann', 401, 'ada'])
  })
})

describe('the server does not start with a HOOKS module', () => {
  it.each([
    ['is missing', null, /cannot be loaded/],
    ['does not compile', 'export default {', /cannot be loaded/],
    ['has no default export', 'export const authorize = () => true', /no object as its default export/],
    [
      'exports an unknown hook',
      'export default { authorise: () => true }',
      /exports authorise; the hooks are authorize/,
    ],
    ['exports a hook that is no function', 'export default { authorize: true }', /authorize in .* is not a function/],
  ])('that %s', async (_what, code, message) => {
    const path = await moduleOf(code)

    await expect(testApp({ HOOKS: path })).rejects.toMatchObject({
      code: 'HOOKS_INVALID',
      message: expect.stringMatching(message),
    })
  })
})

it('a user who may not list uploads may not receive their events', async () => {
  const { app } = await withHooks(`{ authorize: ({ action }) => action !== 'list' }`)
  onTestFinished(() => app.stop())
  await app.http.listen({ port: 0, host: '127.0.0.1' })

  const response = await fetch(`${app.http.listeningOrigin}/v1/events`, { headers: await app.as() })

  await response.body?.cancel()
  expect(response.status).toBe(403)
})

it('a hook that exceeds HOOK_TIMEOUT is answered 503', async () => {
  const { app } = await withHooks('{ authorize: () => new Promise(() => {}) }', { HOOK_TIMEOUT: '50ms' })

  const response = await app.http.inject({ url: '/v1/uploads', headers: await app.as() })

  expect(response.statusCode).toBe(503)
})

/** An app whose HOOKS module exports `code`. @returns `calls`, which reads what the module pushed to its `calls` */
async function withHooks(code: string, env: Record<string, string> = {}) {
  const name = `calls${Math.random().toString(36).slice(2)}`
  const path = await moduleOf(`const calls = (globalThis.${name} = [])\nexport default ${code}`)
  const app = await testApp({ HOOKS: path, ...env })
  return { app, calls: () => (globalThis as unknown as Record<string, unknown[]>)[name]! }
}

async function moduleOf(code: string | null): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-hooks-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, 'hooks.mjs')
  if (code !== null) await writeFile(path, code)
  return path
}
