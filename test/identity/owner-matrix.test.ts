import { randomUUID } from 'node:crypto'
import type { RouteOptions } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type App, buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { type Scope, userOf } from '../../src/core/upload.ts'
import { type Database, openDatabase } from '../../src/db/open.ts'
import { resumeTokens } from '../../src/http/identity/resume.ts'
import { signToken } from '../../src/http/identity/secret.ts'
import { memoryStore } from '../support/memory-store.ts'
import { bodyOf } from '../support/open-engine.ts'
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts'
import { endless, isPublic, type Kind, rows } from './routes.ts'

/** What a caller gets of a route: the answer it has for whoever may, or a refusal. */
type Outcome = 'ok' | 401 | 403 | 404

const secret = 'a secret that is long enough for HS256'
const ann = userOf('ann', 'creator', { tenant: 'acme' })

/** The scopes that just do for a kind of request, and those that all together do not. */
const scopesFor: Record<Exclude<Kind, 'nothing'>, { enough: Scope[]; lacking: Scope[] }> = {
  create: { enough: ['upload'], lacking: ['read', 'cancel'] },
  send: { enough: ['upload'], lacking: ['read', 'cancel'] },
  complete: { enough: ['upload'], lacking: ['read', 'cancel'] },
  mark: { enough: ['upload'], lacking: ['read', 'cancel'] },
  look: { enough: ['read'], lacking: ['cancel'] },
  list: { enough: ['read'], lacking: ['upload', 'cancel'] },
  cancel: { enough: ['cancel'], lacking: ['upload', 'read'] },
  // Says who asks, which is nobody's secret from them.
  me: { enough: ['cancel'], lacking: [] },
  admin: { enough: ['admin'], lacking: ['upload', 'read', 'cancel'] },
}

const about = ['send', 'look', 'complete', 'cancel', 'mark']
const isAbout = (kind: Kind) => about.includes(kind)

interface Caller {
  /** The bearer token for an upload of ann's, if any. */
  token: (id: string, kind: Kind) => Promise<string | null>
  /** What they get; `nothing` routes aside, which give nobody anything. */
  gets: (kind: Kind) => Outcome
}

let app: App
let database: Database
let fresh: FreshDatabase
const routes: string[] = []
const keys = new Map<string, { id: string; token: string }>()

const user = (id: string, tenant: string | null, more = {}) =>
  signToken(secret, userOf(id, 'creator', { tenant, ...more }), 60)
const stranger = (kind: Kind): Outcome => (isAbout(kind) ? 404 : kind === 'admin' ? 403 : 'ok')
const nobody = (): Outcome => 401

const callers: Record<string, Caller> = {
  'the owner': { token: () => user('ann', 'acme'), gets: (kind) => (kind === 'admin' ? 403 : 'ok') },
  'another user of the tenant': { token: () => user('eve', 'acme'), gets: stranger },
  'a user of another tenant': { token: () => user('eve', 'globex'), gets: stranger },
  'a user of the same name in another tenant': { token: () => user('ann', 'globex'), gets: stranger },
  'a user of the same name without tenant': { token: () => user('ann', null), gets: stranger },
  nobody: { token: async () => null, gets: nobody },
  'the owner whose token has expired': { token: () => signToken(secret, ann, -60), gets: nobody },
  'a token of another secret': { token: () => signToken(secret.toUpperCase(), ann, 60), gets: nobody },
  'the resume token of this upload': {
    token: (id) => resumeTokens(secret)(ann, { id }),
    gets: (kind) => (isAbout(kind) ? 'ok' : 401),
  },
  'the resume token of another upload of the owner': {
    token: () => resumeTokens(secret)(ann, { id: randomUUID() }),
    gets: (kind) => (isAbout(kind) ? 404 : 401),
  },
  'a resume token of this upload for somebody else': {
    token: (id) => resumeTokens(secret)(userOf('eve', 'creator', { tenant: 'acme' }), { id }),
    gets: (kind) => (isAbout(kind) ? 404 : 401),
  },
  'a key of the owner with the scope': { token: (_id, kind) => keyOf(kind, 'enough'), gets: () => 'ok' },
  'a key of the owner without the scope': {
    token: (_id, kind) => keyOf(kind, 'lacking'),
    gets: (kind) => (kind === 'me' ? 'ok' : 403),
  },
  'a key of the owner that was revoked': { token: async () => keys.get('revoked')!.token, gets: nobody },
  'an admin': {
    token: () => user('root', null, { isAdmin: true }),
    gets: (kind) => (['send', 'complete', 'mark'].includes(kind) ? 404 : 'ok'),
  },
}

beforeAll(async () => {
  fresh = await freshDatabase()
  database = await openDatabase({ url: fresh.url, dataDir: '', pool: 4, patienceMs: 2000, onFault: () => {} })
  const config = loadConfig({
    NODE_ENV: 'production',
    DATABASE_URL: 'postgres://elsewhere/landfall',
    LOG_LEVEL: 'silent',
    JWT_SECRET: secret,
    DATA_DIR: '/nowhere',
    CORS_ORIGINS: '*',
  })
  const store = memoryStore()
  app = await buildApp(config, { store, database, onRoute: (route) => routes.push(...namesOf(route)) })
  const root = { authorization: `Bearer ${await user('root', null, { isAdmin: true })}` }
  for (const [name, scopes] of keySets()) {
    const payload = { name, role: 'creator', user: 'ann', tenant: 'acme', scopes }
    const made = await app.http.inject({ method: 'POST', url: '/v1/admin/keys', headers: root, payload })
    keys.set(name, made.json())
  }
  await app.http.inject({ method: 'DELETE', url: `/v1/admin/keys/${keys.get('revoked')!.id}`, headers: root })
})

afterAll(async () => {
  await app?.http.close()
  await database?.close()
  await fresh?.dispose()
})

it('every route of the server has a row in the matrix, and every row a route', () => {
  const known = new Set([...rows.map(({ route }) => route), ...endless])
  const real = new Set(routes)

  expect([...real].filter((route) => !known.has(route) && !isPublic(route))).toEqual([])
  expect([...known].filter((route) => !real.has(route))).toEqual([])
})

describe.each(Object.entries(callers))('%s', (_who, caller) => {
  it.each(rows.map((row) => [row.kind, row.route, row] as const))('%s: %s', async (kind, route, row) => {
    const { id } = await app.engine.create(ann, { size: 5, filename: 'a.txt', contentType: 'text/plain' })
    if (kind === 'complete') {
      const body = { body: bodyOf(Buffer.from('hello')), bodySize: 5 }
      await app.engine.append(ann, id, { ...body, offset: 0, ending: 'later' })
    }
    const before = await app.engine.peek(ann, id)
    const token = await caller.token(id, kind)
    const { url, headers, payload } = row.request(id)
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
    if (outcome !== 'ok' || !isAbout(kind)) expect(await app.engine.peek(ann, id)).toEqual(before)
    // What somebody may not see they are not told of, in no header and no body.
    if (outcome !== 'ok') expect(answer.body + JSON.stringify(answer.headers)).not.toMatch(/a\.txt|upload-length/)
    if (kind === 'list' && outcome === 'ok') {
      const isOwners = token !== null && (await keysOrOwner(token))
      expect(answer.json().uploads.some((upload: { id: string }) => upload.id === id)).toBe(isOwners)
    }
  })
})

/** Whether a token speaks for ann of acme. */
async function keysOrOwner(token: string): Promise<boolean> {
  const me = await app.http.inject({ url: '/v1/me', headers: { authorization: `Bearer ${token}` } })
  const claims = token.startsWith('lf_')
    ? { tenant: 'acme' }
    : JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString())
  return me.json().user === 'ann' && claims.tenant === 'acme'
}

function keySets(): [string, Scope[]][] {
  const all = Object.values(scopesFor).flatMap(({ enough, lacking }) => [enough, lacking])
  return [
    ['revoked', ['upload', 'read', 'cancel', 'admin']],
    ...all.filter((set) => set.length > 0).map((set): [string, Scope[]] => [set.join(), set]),
  ]
}

async function keyOf(kind: Kind, which: 'enough' | 'lacking'): Promise<string> {
  if (kind === 'nothing') return keys.get('upload')!.token
  const { enough, lacking } = scopesFor[kind]
  return keys.get((which === 'enough' || lacking.length === 0 ? enough : lacking).join())!.token
}

function namesOf({ method, url, constraints }: RouteOptions): string[] {
  const dialect = (constraints as { protocol?: string } | undefined)?.protocol
  return [method].flat().map((one) => `${one} ${url}${dialect ? ` (${dialect})` : ''}`)
}
