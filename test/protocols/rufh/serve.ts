import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { expect, onTestFinished } from 'vitest'
import { choosePartSize } from '../../../src/core/create/part-plan.ts'
import type { EngineOptions } from '../../../src/core/engine-options.ts'
import { defaultPolicies, type PolicyDocument } from '../../../src/core/policy/policy.ts'
import { type UploadRecord, userOf } from '../../../src/core/upload.ts'
import { closeAfterUnreadBody } from '../../../src/http/body/unread-body.ts'
import { allowOrigins } from '../../../src/http/cors.ts'
import { answerErrors } from '../../../src/http/errors.ts'
import { authPlugin } from '../../../src/http/identity/auth.ts'
import type { RufhOptions } from '../../../src/protocols/rufh/options.ts'
import { rufhPlugin } from '../../../src/protocols/rufh/plugin.ts'
import { watchBodies } from '../../support/arrival.ts'
import { documentOfFiles, undescribed } from '../../support/described.ts'
import { type OpenEngine, openEngine } from '../../support/open-engine.ts'
import { openTestStore, type StoreKind } from '../../support/open-test-store.ts'
import { ask, askFor, type RawAnswer, type RawRequest } from '../../support/raw-http.ts'
import type { TroubledStore } from '../../support/troubled-store.ts'

export interface Served extends Omit<OpenEngine, 'store'> {
  store: TroubledStore
  port: number
  /** Resolves when the server has read `bytes` of a body that has not ended yet. */
  arrived(bytes: number): Promise<void>
  /** The part size of a small file: 10 bytes unless the test overrides it, or the least size in the store. */
  part: number
  /** Sends a request as ada, whose role may send any file, unless the request has its own token. */
  ask(request: RawRequest): Promise<RawAnswer>
  /** As `ask`, but `null` when the server closes the connection without an answer. */
  tryAsk(request: RawRequest): Promise<RawAnswer | null>
  /** The object of the upload at `location`; `undefined` while there is none. */
  objectOf(location: string): Promise<Buffer | undefined>
  /** The keys of all objects in the store. */
  keys(): Promise<string[]>
  /** The upload at `location` in the database. */
  uploadAt(
    location: string,
  ): Promise<Pick<UploadRecord, 'state' | 'offset' | 'size'> & { filename: string; contentType: string }>
}

export interface Serving extends Partial<Omit<EngineOptions, 'store'>> {
  /** The store for files. Default: memory. */
  kind?: StoreKind
  rufh?: Partial<RufhOptions> & { origins?: '*' | string[] }
  /** Registers other plugins beside RUFH. */
  beside?: (app: FastifyInstance, options: RufhOptions) => void
  leaseMs?: number
  waitMs?: number
}

// All uploads of a test file belong to one user and one day, and an upload of unknown length reserves the largest size that it may have.
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

/** The header of `version` that says whether a request brings the end of the file. */
export function lastIn(version: number, isLast: boolean): Record<string, string> {
  return version === 3 ? { 'upload-incomplete': isLast ? '?0' : '?1' } : { 'upload-complete': isLast ? '?1' : '?0' }
}

/** The headers of an append in `version`. */
export function appendHeaders(version: number, offset: number, isLast: boolean): Record<string, string | number> {
  return {
    ...interop(version),
    ...lastIn(version, isLast),
    'upload-offset': offset,
    ...(version >= 6 && { 'content-type': 'application/partial-upload' }),
  }
}

/** Serves RUFH over a real engine, on a port of its own until the test ends. Tokens are `user:role`. */
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
    await scope.register(async (inner) => rufhPlugin(inner, options))
    beside?.(scope, options)
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const withToken = (request: RawRequest) => ({ ...request, headers: { ...asAda, ...request.headers } })
  const document = await documentOfFiles()
  const described = <T extends RawAnswer | null>(request: RawRequest, answer: T): T => {
    // Protocols beside RUFH may be any.
    if (answer && !beside) expect(undescribed(document, { ...request, url: request.path }, answer)).toEqual([])
    return answer
  }
  const find = async (location: string) => opened.engine.get(userOf('ada', 'creator'), location.split('/').at(-1)!)
  return {
    ...opened,
    port,
    arrived: watchBodies(app.server),
    part: choosePartSize({ size: 1, preferred: overrides.partSize ?? 10, limits: store.limits }),
    ask: async (request) => described(request, await askFor(port, withToken(request))),
    tryAsk: async (request) => described(request, await ask(port, withToken(request))),
    store,
    keys: () => all(store.list('')),
    async objectOf(location) {
      const { key } = await find(location)
      if (!(await store.stat(key))) return undefined
      return Buffer.concat(await all(store.read(key)))
    },
    uploadAt: find,
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
