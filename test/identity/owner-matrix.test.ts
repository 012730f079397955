import { randomUUID } from 'node:crypto'
import type { RouteOptions } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type App, buildApp } from '../../src/app/app.ts'
import { loadConfig } from '../../src/config.ts'
import { actions } from '../../src/core/access/actions.ts'
import { scopes as allScopes, type Scope, userOf } from '../../src/core/upload.ts'
import { type Database, openDatabase } from '../../src/db/open.ts'
import { resumeTokens } from '../../src/http/identity/resume.ts'
import { signToken } from '../../src/http/identity/secret.ts'
import { memoryStore } from '../support/memory-store.ts'
import { bodyOf } from '../support/open-engine.ts'
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts'
import { endless, endpoint, isPublic, type Kind, rows } from './routes.ts'

/** The status of a route for a caller: `ok` is the status for callers with permission. */
type Outcome = 'ok' | 401 | 403 | 404

const secret = 'a secret that is long enough for HS256'
const ann = userOf('ann', 'creator', { tenant: 'acme' })

/** Scopes that suffice for a kind of request, and all those that do not. */
const scopesFor: Record<Exclude<Kind, 'nothing'>, { enough: Scope[]; lacking: Scope[] }> = {
  create: { enough: ['upload'], lacking: ['read', 'cancel'] },
  append: { enough: ['upload'], lacking: ['read', 'cancel'] },
  complete: { enough: ['upload'], lacking: ['read', 'cancel'] },
  read: { enough: ['read'], lacking: ['cancel'] },
  list: { enough: ['read'], lacking: ['upload', 'cancel'] },
  subscribe: { enough: ['read'], lacking: ['upload', 'cancel'] },
  webhook: { enough: ['read'], lacking: ['upload', 'cancel'] },
  download: { enough: ['read'], lacking: ['upload', 'cancel'] },
  link: { enough: ['read'], lacking: ['upload', 'cancel'] },
  retry: { enough: ['upload'], lacking: ['read', 'cancel'] },
  cancel: { enough: ['cancel'], lacking: ['upload', 'read'] },
  // Returns the caller's own identity, which needs no scope.
  me: { enough: ['cancel'], lacking: [] },
  finish: { enough: ['admin'], lacking: ['upload', 'read', 'cancel'] },
  expire: { enough: ['admin'], lacking: ['upload', 'read', 'cancel'] },
  admin: { enough: ['admin'], lacking: ['upload', 'read', 'cancel'] },
  operate: { enough: ['admin'], lacking: ['upload', 'read', 'cancel'] },
  revoke: { enough: ['admin'], lacking: ['upload', 'read', 'cancel'] },
  server: { enough: ['admin'], lacking: ['upload', 'read', 'cancel'] },
}

const emptySummary = {
  open: [],
  finishingOldestSeconds: null,
  eventsToDeliver: 0,
  reservedBytes: 0,
  users: 0,
  storedFiles: 0,
}

const onFile = ['download', 'link', 'retry']
const isOnFile = (kind: Kind) => onFile.includes(kind)
const onOneUpload = ['append', 'read', 'complete', 'cancel', ...onFile]
const isOnUpload = (kind: Kind) => onOneUpload.includes(kind)
const onOneUploadByAdmin = ['operate', 'finish', 'expire']
const isOperation = (kind: Kind) => onOneUploadByAdmin.includes(kind)
const adminKinds = ['admin', 'revoke', 'server']
const isOther = (kind: Kind) => kind === 'revoke' || kind === 'webhook'
const isForAdmins = (kind: Kind) => isOperation(kind) || adminKinds.includes(kind)
const ownerOnly = ['append', 'complete']

interface Caller {
  /** The bearer token for a request about an upload of ann's, if any. */
  token: (id: string, kind: Kind) => Promise<string | null>
  /** The expected outcome, except for `nothing` routes, which refuse every caller. */
  gets: (kind: Kind) => Outcome
  /** No response to them contains anything of the owner's tenant. */
  seesNothing?: boolean
}

let app: App
let database: Database
let fresh: FreshDatabase
const routes: RouteOptions[] = []
const keys = new Map<string, { id: string; token: string }>()

const user = (id: string, tenant: string | null, more = {}) =>
  signToken(secret, userOf(id, 'creator', { tenant, ...more }), 60)
const otherUser = (kind: Kind): Outcome =>
  isOnUpload(kind) || kind === 'webhook' ? 404 : isForAdmins(kind) ? 403 : 'ok'
// Admins of tenants without users: every user they could see is of another tenant.
const foreignAdmin = (kind: Kind): Outcome =>
  isOnUpload(kind) || isOperation(kind) || isOther(kind) ? 404 : kind === 'server' ? 403 : 'ok'
const unauthenticated = (): Outcome => 401

const callers: Record<string, Caller> = {
  'the owner': { token: () => user('ann', 'acme'), gets: (kind) => (isForAdmins(kind) ? 403 : 'ok') },
  'another user of the tenant': { token: () => user('eve', 'acme'), gets: otherUser },
  'a user of another tenant': { token: () => user('eve', 'globex'), gets: otherUser },
  'a user of the same name in another tenant': { token: () => user('ann', 'globex'), gets: otherUser },
  'a user of the same name without tenant': { token: () => user('ann', null), gets: otherUser },
  'a client without a token': { token: async () => null, gets: unauthenticated },
  'the owner with an expired token': { token: () => signToken(secret, ann, -60), gets: unauthenticated },
  'a token of another secret': { token: () => signToken(secret.toUpperCase(), ann, 60), gets: unauthenticated },
  'the resume token of this upload': {
    token: async (id) => resumeTokens(secret)(ann, { id }),
    gets: (kind) => (isOnUpload(kind) && !isOnFile(kind) ? 'ok' : 401),
  },
  'the resume token of another upload of the owner': {
    token: async () => resumeTokens(secret)(ann, { id: randomUUID() }),
    gets: (kind) => (isOnUpload(kind) && !isOnFile(kind) ? 404 : 401),
  },
  'a resume token of this upload for another user': {
    token: async (id) => resumeTokens(secret)(userOf('eve', 'creator', { tenant: 'acme' }), { id }),
    gets: (kind) => (isOnUpload(kind) && !isOnFile(kind) ? 404 : 401),
  },
  'a key of the owner with the scope': {
    token: (_id, kind) => keyOf(kind, 'enough'),
    gets: (kind) => (kind === 'server' ? 403 : 'ok'),
  },
  'a key of the owner without the scope': {
    token: (_id, kind) => keyOf(kind, 'lacking'),
    gets: (kind) => (kind === 'me' ? 'ok' : 403),
  },
  'a revoked key of the owner': { token: async () => keys.get('revoked')!.token, gets: unauthenticated },
  'an admin': {
    token: () => user('root', null, { isAdmin: true }),
    gets: (kind) => (ownerOnly.includes(kind) ? 404 : 'ok'),
  },
  'an admin of the tenant': {
    token: () => user('boss', 'acme', { isAdmin: true }),
    gets: (kind) => (ownerOnly.includes(kind) ? 404 : kind === 'server' ? 403 : 'ok'),
  },
  'an admin of another tenant': {
    token: () => user('boss', 'initech', { isAdmin: true }),
    gets: foreignAdmin,
    seesNothing: true,
  },
  'an admin key of another tenant': {
    token: async () => keys.get('of umbrella')!.token,
    gets: foreignAdmin,
    seesNothing: true,
  },
}

beforeAll(async () => {
  fresh = await freshDatabase({ isMigrated: true })
  database = await openDatabase({ url: fresh.url, dataDir: '', pool: 4, timeoutMs: 60_000, onError: () => {} })
  const config = loadConfig({
    NODE_ENV: 'production',
    DATABASE_URL: 'postgres://elsewhere/landfall',
    LOG_LEVEL: 'silent',
    JWT_SECRET: secret,
    DATA_DIR: '/nowhere',
    CORS_ORIGINS: '*',
    WEBHOOKS_PER_USER: '1000',
  })
  const store = memoryStore()
  app = await buildApp(config, { store, database, onRoute: (route) => routes.push(route) })
  const root = { authorization: `Bearer ${await user('root', null, { isAdmin: true })}` }
  for (const [name, scopes] of keySets()) keys.set(name, await createKey({ name, scopes }))
  keys.set('of umbrella', await createKey({ name: 'u', scopes: [...allScopes], user: 'boss', tenant: 'umbrella' }))
  await app.http.inject({ method: 'DELETE', url: `/v1/admin/keys/${keys.get('revoked')!.id}`, headers: root })
})

afterAll(async () => {
  await app?.http.close()
  await database?.close()
  await fresh?.dispose()
})

it('has a row for every route of the server, and a route for every row', () => {
  const known = new Set([...rows.map(({ route }) => route), ...endless])
  const real = new Set(routes.flatMap(namesOf))

  expect([...real].filter((route) => !known.has(route) && !isPublic(route))).toEqual([])
  expect([...known].filter((route) => !real.has(route))).toEqual([])
})

it('asks every action of at least one route', () => {
  expect([...new Set(rows.map(({ kind }) => kind))]).toEqual(expect.arrayContaining(Object.keys(actions)))
})

it.each(rows.filter(({ kind, route }) => kind in actions && !route.includes('/admin/')))(
  'the route says what it asks: $kind, $route',
  ({ kind, route }) => {
    const named = routes.filter((one) => namesOf(one).includes(route))

    expect(named.flatMap(({ config }) => config?.actions ?? [])).toContain(kind)
  },
)

describe.each(Object.entries(callers))('%s', (_who, caller) => {
  it.each(rows.map((row) => [row.kind, row.route, row] as const))('%s: %s', async (kind, route, row) => {
    const { id } = await app.engine.create(ann, { size: 5, filename: 'a.txt', contentType: 'text/plain' })
    if (kind === 'complete' || isOnFile(kind)) {
      const body = { body: bodyOf(Buffer.from('hello')), bodySize: 5 }
      await app.engine.append(ann, id, { ...body, offset: 0, ending: isOnFile(kind) ? 'at-size' : 'later' })
    }
    const before = await app.engine.get(ann, id)
    const token = await caller.token(id, kind)
    const otherId = await otherOf(kind)
    const { url, headers, payload } = row.request(id, otherId)
    const authorization = token === null ? {} : { authorization: `Bearer ${token}` }

    const answer = await app.http.inject({
      method: route.split(' ')[0] as 'GET',
      url,
      headers: { ...headers, ...authorization },
      ...(payload !== undefined && { payload }),
    })

    const outcome = kind === 'nothing' ? 'nothing' : caller.gets(kind)
    if (outcome === 'nothing') expect(answer.statusCode).toBeGreaterThanOrEqual(400)
    else expect(answer.statusCode).toBe(outcome === 'ok' ? row.ok : outcome)
    if (outcome !== 'ok' || !(isOnUpload(kind) || isOperation(kind)))
      expect(await app.engine.get(ann, id)).toEqual(before)
    // A refused caller learns nothing about the upload, neither from headers nor from the body.
    if (outcome !== 'ok') expect(answer.body + JSON.stringify(answer.headers)).not.toMatch(/a\.txt|upload-length/)
    if (caller.seesNothing && isForAdmins(kind)) {
      expect(answer.body).not.toMatch(new RegExp(`acme|\\bann\\b|a\\.txt|${id}`))
      if (url === '/v1/admin/summary') expect(answer.json()).toMatchObject(emptySummary)
    }
    if (kind === 'list' && outcome === 'ok') {
      const isOwners = token !== null && (await isOfOwner(token))
      expect(answer.json().uploads.some((upload: { id: string }) => upload.id === id)).toBe(isOwners)
    }
  })
})

it('an admin of a tenant cannot read another one, nor create a key for it', async () => {
  const headers = { authorization: `Bearer ${await user('boss', 'initech', { isAdmin: true })}` }
  const lists = ['uploads', 'usage', 'audit'].map((list) => ({ url: `/v1/admin/${list}?tenant=acme` }))
  const posts = [
    { url: '/v1/admin/keys', payload: { name: 'x', role: 'member', tenant: 'acme', scopes: ['admin'] } },
    { url: '/v1/admin/explain', payload: { user: 'ann', role: 'creator', tenant: 'acme' } },
  ].map((request) => ({ ...request, method: 'POST' as const }))

  const answers = await Promise.all([...lists, ...posts].map((request) => app.http.inject({ ...request, headers })))

  expect(answers.map(({ statusCode }) => statusCode)).toEqual(answers.map(() => 403))
})

it('a key created by an admin of a tenant is of that tenant by default', async () => {
  const headers = { authorization: `Bearer ${await user('boss', 'initech', { isAdmin: true })}` }
  const payload = { name: 'x', role: 'member', tenant: null, scopes: ['admin'] }

  const made = await app.http.inject({ method: 'POST', url: '/v1/admin/keys', headers, payload })

  expect(made.json()).toMatchObject({ tenant: 'initech' })
})

/** What a row asks about that is no upload: a new key or a new webhook of ann of acme. */
async function otherOf(kind: Kind): Promise<string> {
  if (kind === 'revoke') return (await createKey({ name: 'one', scopes: ['read'] })).id
  if (kind !== 'webhook') return ''
  const headers = { authorization: `Bearer ${await user('ann', 'acme')}` }
  return (await app.http.inject({ method: 'POST', url: '/v1/webhooks', headers, payload: endpoint })).json().id
}

/** Creates a key as an admin without a tenant; by default for ann of acme. */
async function createKey(creation: { name: string; scopes: Scope[]; user?: string; tenant?: string }) {
  const headers = { authorization: `Bearer ${await user('root', null, { isAdmin: true })}` }
  const payload = { role: 'creator', user: 'ann', tenant: 'acme', ...creation }
  return (await app.http.inject({ method: 'POST', url: '/v1/admin/keys', headers, payload })).json()
}

/** Whether a token is one of ann of acme. */
async function isOfOwner(token: string): Promise<boolean> {
  const me = await app.http.inject({ url: '/v1/me', headers: { authorization: `Bearer ${token}` } })
  const claims = token.startsWith('lf_')
    ? { tenant: 'acme' }
    : JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString())
  return me.json().user === 'ann' && claims.tenant === 'acme'
}

function keySets(): [string, Scope[]][] {
  const all = Object.values(scopesFor).flatMap(({ enough, lacking }) => [enough, lacking])
  return [
    ['revoked', [...allScopes]],
    ...all.filter((set) => set.length > 0).map((set): [string, Scope[]] => [set.join(), set]),
  ]
}

async function keyOf(kind: Kind, which: 'enough' | 'lacking'): Promise<string> {
  if (kind === 'nothing') return keys.get('upload')!.token
  const { enough, lacking } = scopesFor[kind]
  return keys.get((which === 'enough' || lacking.length === 0 ? enough : lacking).join())!.token
}

function namesOf({ method, url, constraints }: RouteOptions): string[] {
  const dialect = (constraints as { landfallProtocol?: string } | undefined)?.landfallProtocol
  return [method].flat().map((one) => `${one} ${url}${dialect ? ` (${dialect})` : ''}`)
}
