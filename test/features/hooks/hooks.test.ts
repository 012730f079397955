import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import type { Hooks } from '../../../src/features/hooks/hooks.ts'
import { typeHooks } from '../../../src/features/hooks/typed.ts'
import { testApp } from '../../support/test-app.ts'

const ann = userOf('ann', 'creator')
const creation = { size: 5, filename: 'a.txt', contentType: 'text/plain' }
const tus = { 'tus-resumable': '1.0.0' }

describe('authorize', () => {
  const permit = (authorize: unknown) =>
    typeHooks({ authorize } as Hooks, 50).authorize!({ actor: ann, action: 'list' })

  it('lets through with true', async () => {
    await permit(() => true)
    await permit(async () => true)
  })

  it.each([
    ['false', false, 'FORBIDDEN', 'This is not allowed to you.'],
    ['a reason', { because: 'Your plan has ended.' }, 'FORBIDDEN', 'Your plan has ended.'],
    ['hidden', 'hidden', 'UPLOAD_NOT_FOUND', 'There is no such upload.'],
  ])('refuses with %s', async (_what, verdict, code, message) => {
    await expect(permit(() => verdict)).rejects.toMatchObject({ code, message })
  })

  it.each([
    ['says nothing', () => undefined],
    ['says something else', () => 'yes'],
    ['says null', () => null],
    ['gives a reason that is none', () => ({ because: 7 })],
    [
      'throws',
      () => {
        throw new Error('broken')
      },
    ],
    [
      'throws later',
      async () => {
        throw new Error('broken')
      },
    ],
    [
      'throws nothing',
      () => {
        throw undefined
      },
    ],
    ['never answers', () => new Promise(() => {})],
  ])('lets nobody through when it %s', async (_what, authorize) => {
    await expect(permit(authorize)).rejects.toMatchObject({ code: 'IDENTITY_UNAVAILABLE', status: 503 })
  })

  it('cannot change who asks', async () => {
    const actor = { ...ann }

    await typeHooks({ authorize: ({ actor: seen }) => (seen.isAdmin = true) }, 50).authorize!({ actor, action: 'list' })

    expect(actor).toEqual(ann)
  })
})

describe('identify', () => {
  const identify = (said: unknown) => {
    const hooks = { identify: () => said } as unknown as Hooks
    return typeHooks(hooks, 50).identify!({ method: 'GET', url: '/', headers: {}, ip: '' })
  }

  it('names a user as a token would', async () => {
    expect(await identify({ id: 'ann', role: 'creator' })).toEqual(ann)
    expect(await identify({ id: 'ann', role: 'creator', tenant: 'acme', isAdmin: true, scopes: ['read'] })).toEqual(
      userOf('ann', 'creator', { tenant: 'acme', isAdmin: true, scopes: ['read'] }),
    )
    expect(await identify(null)).toBeNull()
  })

  it.each([
    ['nothing', undefined],
    ['no role', { id: 'ann' }],
    ['an empty user', { id: '', role: 'creator' }],
    ['a key', { id: 'key:1', role: 'creator' }],
    ['a scope that is not there', { id: 'ann', role: 'creator', scopes: ['all'] }],
    ['a text', 'ann'],
  ])('cannot name %s', async (_what, said) => {
    await expect(identify(said)).rejects.toMatchObject({ status: 503 })
  })
})

describe('a server with hooks', () => {
  it('asks them for every verb, and before completion again', async () => {
    const { app, seen } = await withHooks(`{
      authorize: ({ actor, verb, upload, wish }) => {
        seen.push([actor.id, verb, upload?.filename ?? wish?.filename ?? null])
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

    expect(seen()).toEqual([
      ['ada', 'create', 'file'],
      ['ada', 'read', 'file'],
      ['ada', 'append', 'file'],
      ['ada', 'complete', 'file'],
      ['ada', 'list', null],
    ])
  })

  it('answers their refusals in the words of the protocol', async () => {
    const { app } = await withHooks(`{
      authorize: ({ verb }) => (verb === 'create' ? { because: 'Your plan has ended.' } : verb === 'list' ? 'hidden' : true),
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

  it('is 503 and not open while they do not work', async () => {
    const { app } = await withHooks(`{ authorize: () => { throw new Error('swordfish') } }`)

    const answer = await app.http.inject({ url: '/v1/uploads', headers: await app.as() })

    expect([answer.statusCode, answer.json().error.code]).toEqual([503, 'IDENTITY_UNAVAILABLE'])
    expect(answer.headers['retry-after']).toBe('5')
    expect(answer.body).not.toContain('swordfish')
  })

  it('names objects as they say, below the root, with something of its own in the name', async () => {
    const { app } = await withHooks(
      `{ nameObject: ({ actor, wish }) => '/../.landfall/' + actor.id + '//' + wish.filename }`,
    )

    const keys = await Promise.all(
      ['a.txt', '../../etc/passwd', '.htaccess'].map(async (filename) => {
        const { key } = await app.engine.create(ann, { ...creation, filename })
        return key.replace(/[0-9a-f]{32}/, '*')
      }),
    )

    expect(keys).toEqual(['landfall/ann/*-a.txt', 'landfall/ann/etc/*-passwd', 'landfall/ann/*-htaccess'])
  })

  it('lets in whom they know, without a token', async () => {
    const { app } = await withHooks(`{
      identify: ({ headers }) => (headers['x-user'] ? { id: headers['x-user'], role: 'member' } : null),
    }`)

    const known = await app.http.inject({ url: '/v1/me', headers: { 'x-user': 'ann' } })
    const stranger = await app.http.inject({ url: '/v1/me' })
    const withToken = await app.http.inject({ url: '/v1/me', headers: { 'x-user': 'ann', ...(await app.as()) } })

    expect([known.json().user, stranger.statusCode, withToken.json().user]).toEqual(['ann', 401, 'ada'])
  })
})

describe('a module that cannot be hooks stops the server at its start', () => {
  it.each([
    ['is not there', null, /cannot be loaded/],
    ['does not compile', 'export default {', /cannot be loaded/],
    ['exports nothing', 'export const authorize = () => true', /no object as its default export/],
    ['exports what nobody asks', 'export default { authorise: () => true }', /exports authorise; there are authorize/],
    ['exports no function', 'export default { authorize: true }', /authorize in .* is not a function/],
  ])('when it %s', async (_what, code, message) => {
    const path = await moduleOf(code)

    await expect(testApp({ HOOKS: path })).rejects.toMatchObject({
      name: 'ConfigError',
      problems: [expect.stringMatching(message)],
    })
  })
})

it('who may not list may not listen either', async () => {
  const { app } = await withHooks(`{ authorize: ({ verb }) => verb !== 'list' }`)
  onTestFinished(() => app.stop())
  await app.http.listen({ port: 0, host: '127.0.0.1' })

  const answer = await fetch(`${app.http.listeningOrigin}/v1/events`, { headers: await app.as() })

  await answer.body?.cancel()
  expect(answer.status).toBe(403)
})

it('a slow hook is given up in time', async () => {
  const { app } = await withHooks('{ authorize: () => new Promise(() => {}) }', { HOOK_TIMEOUT: '50ms' })

  const answer = await app.http.inject({ url: '/v1/uploads', headers: await app.as() })

  expect(answer.statusCode).toBe(503)
})

/** A whole app whose HOOKS is a module that exports `code`; what it pushes to `seen` can be read. */
async function withHooks(code: string, env: Record<string, string> = {}) {
  const name = `seen${Math.random().toString(36).slice(2)}`
  const path = await moduleOf(`const seen = (globalThis.${name} = [])\nexport default ${code}`)
  const app = await testApp({ HOOKS: path, ...env })
  return { app, seen: () => (globalThis as unknown as Record<string, unknown[]>)[name]! }
}

async function moduleOf(code: string | null): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-hooks-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, 'hooks.mjs')
  if (code !== null) await writeFile(path, code)
  return path
}
