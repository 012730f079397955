import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { onTestFinished } from 'vitest'
import { choosePartSize } from '../../../src/core/create/part-plan.ts'
import type { EngineOptions } from '../../../src/core/engine-options.ts'
import { defaultPolicies, type PolicyDocument } from '../../../src/core/policy/policy.ts'
import { type UploadRecord, userOf } from '../../../src/core/upload.ts'
import { closeAfterUnreadBody } from '../../../src/http/connection/unread-body.ts'
import { allowOrigins } from '../../../src/http/cors.ts'
import { answerErrors } from '../../../src/http/errors.ts'
import { authPlugin } from '../../../src/http/identity/auth.ts'
import type { RufhOptions } from '../../../src/protocols/rufh/options.ts'
import { rufhPlugin } from '../../../src/protocols/rufh/plugin.ts'
import { watchBodies } from '../../support/arrival.ts'
import { type OpenEngine, openEngine } from '../../support/open-engine.ts'
import { openTestStore, type StoreKind } from '../../support/open-test-store.ts'
import { ask, askFor, type RawAnswer, type RawRequest } from '../../support/raw-http.ts'
import type { TroubledStore } from '../../support/troubled-store.ts'

export interface Served extends Omit<OpenEngine, 'store'> {
  store: TroubledStore
  port: number
  /** Resolves when the server has read `bytes` of a body that has not ended yet. */
  arrived(bytes: number): Promise<void>
  /** The size of the parts of a small file: 10 bytes unless a test says otherwise, or what the store takes at least. */
  part: number
  /** Asks as ada, who may send anything, unless the request brings its own token. */
  ask(request: RawRequest): Promise<RawAnswer>
  /** As `ask`, where no answer may come. */
  tryAsk(request: RawRequest): Promise<RawAnswer | null>
  /** The bytes in the store of the upload at `location`; `undefined` while there is no object. */
  objectOf(location: string): Promise<Buffer | undefined>
  /** Everything that lies in the store. */
  keys(): Promise<string[]>
  /** The session of the upload at `location`. */
  sessionOf(
    location: string,
  ): Promise<Pick<UploadRecord, 'state' | 'offset' | 'size'> & { filename: string; contentType: string }>
}

export interface Serving extends Partial<Omit<EngineOptions, 'store'>> {
  /** Where files go: in memory unless it says otherwise. */
  kind?: StoreKind
  rufh?: Partial<RufhOptions> & { origins?: '*' | string[] }
  /** What else is registered beside RUFH. */
  beside?: (app: FastifyInstance, options: RufhOptions) => void
  leaseMs?: number
  waitMs?: number
}

// Every test of a file is one user's of one day, and an upload of unknown length reserves the most it may become.
const withoutQuotas: PolicyDocument = {
  ...defaultPolicies,
  roles: Object.fromEntries(
    Object.entries(defaultPolicies.roles).map(([role, rules]) => [
      role,
      { ...rules, bytesPerDay: null, totalBytes: null, uploadsAtOnce: null },
    ]),
  ),
}

/** Headers of ada's requests. */
export const asAda = { authorization: 'Bearer ada:creator' }

/** The headers that name an interop version. */
export const interop = (version: number) => ({ 'upload-draft-interop-version': version })

/** The header that says whether the file ends with this request, in the words of `version`. */
export function lastIn(version: number, isLast: boolean): Record<string, string> {
  return version === 3 ? { 'upload-incomplete': isLast ? '?0' : '?1' } : { 'upload-complete': isLast ? '?1' : '?0' }
}

/** What an append of `version` needs beside its offset. */
export function appendHeaders(version: number, offset: number, isLast: boolean): Record<string, string | number> {
  return {
    ...interop(version),
    ...lastIn(version, isLast),
    'upload-offset': offset,
    ...(version >= 6 && { 'content-type': 'application/partial-upload' }),
  }
}

/** RUFH over a real engine, on a port of its own until the test ends. Tokens are `user:role`. */
export async function serve({ kind = 'memory', rufh, beside, ...overrides }: Serving = {}): Promise<Served> {
  const store = await openTestStore(kind)
  const opened = await openEngine({ policies: () => withoutQuotas, ...overrides, store })
  const app = Fastify({ forceCloseConnections: true })
  onTestFinished(() => app.close())
  closeAfterUnreadBody(app)
  answerErrors(app)
  const { origins = '*', ...differences } = rufh ?? {}
  const options: RufhOptions = {
    engine: opened.engine,
    path: '/files',
    publicUrl: undefined,
    maxSize: () => 1000,
    ...differences,
  }
  await app.register(async (scope) => {
    allowOrigins(scope, { origins, headers: [], credentials: false })
    await scope.register(authPlugin, { checks: [readToken] })
    await scope.register(async (room) => rufhPlugin(room, options))
    beside?.(scope, options)
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const withToken = (request: RawRequest) => ({ ...request, headers: { ...asAda, ...request.headers } })
  const find = async (location: string) => opened.engine.get(userOf('ada', 'creator'), location.split('/').at(-1)!)
  return {
    ...opened,
    port,
    arrived: watchBodies(app.server),
    part: choosePartSize({ size: 1, preferred: overrides.partSize ?? 10, limits: store.limits }),
    ask: (request) => askFor(port, withToken(request)),
    tryAsk: (request) => ask(port, withToken(request)),
    store,
    keys: () => all(store.list('')),
    async objectOf(location) {
      const { key } = await find(location)
      if (!(await store.stat(key))) return undefined
      return Buffer.concat(await all(store.read(key)))
    },
    sessionOf: find,
  }
}

async function readToken(token: string) {
  const [id, role] = token.split(':')
  return id && role ? userOf(id, role) : null
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}
