import type { AddressInfo } from 'node:net'
import type { RunningEngine } from '../../../src/core/engine.ts'
import type { EngineOptions } from '../../../src/core/engine-options.ts'
import type { UploadRecord } from '../../../src/core/upload.ts'
import type { TusOptions } from '../../../src/protocols/tus/plugin.ts'
import { watchBodies } from '../../support/arrival.ts'
import { bearer, buildTestApp, type TestApp } from '../../support/build-test-app.ts'
import { ada } from '../../support/open-engine.ts'
import { openTestStore, type StoreKind, type TestStore } from '../../support/open-test-store.ts'
import { askFor, headOf, openRaw, type RawAnswer, type RawConnection, type RawRequest } from '../../support/raw-http.ts'
import { withTus } from '../../support/with-tus.ts'

export interface Serving extends Partial<Omit<EngineOptions, 'store'>> {
  /** Where files go: in memory unless it says otherwise. */
  kind?: StoreKind
  tus?: Partial<TusOptions> & { origins?: '*' | string[] }
  /** Told of every verb that tus asks of the engine. */
  watch?: (verb: string) => void
  waitMs?: number
}

/** A request in which `null` takes a header away that is otherwise sent. */
export interface TusRequest extends Omit<RawRequest, 'headers'> {
  headers?: Headers
}

export type Headers = Record<string, string | number | null>

export interface TusServer extends Omit<TestApp, 'store'> {
  store: TestStore
  port: number
  /** Resolves when the server has read `bytes` of a body that has not ended yet. */
  arrived(bytes: number): Promise<void>
  /** Asks in tus as ada, who may send anything. */
  ask(request: TusRequest): Promise<RawAnswer>
  /** A connection on which the head of `request` was sent. */
  open(request: TusRequest): Promise<RawConnection>
  /** The path of a new upload of `length` bytes, or of a length still unknown. */
  create(length: number | null, headers?: Headers): Promise<string>
  head(path: string): Promise<RawAnswer>
  patch(path: string, offset: number | string, body: Buffer | string, headers?: Headers): Promise<RawAnswer>
  /** What the database knows of the upload at `path`. */
  sessionOf(
    path: string,
  ): Promise<Pick<UploadRecord, 'state' | 'offset' | 'size' | 'filename' | 'contentType' | 'category'>>
  /** The bytes in the store of the upload at `path`; `undefined` while there is no object. */
  objectOf(path: string): Promise<Buffer | undefined>
  /** Everything that lies in the store. */
  keys(): Promise<string[]>
  openMultiparts(): Promise<number>
}

export const chunk = { 'content-type': 'application/offset+octet-stream' }

/** A value for Upload-Metadata. */
export const encoded = (value: string | Buffer) => Buffer.from(value).toString('base64')

/** tus over a real engine, on a port of its own until the test ends. Parts have 10 bytes where the store allows it. */
export async function serve({ tus = {}, kind = 'memory', watch, ...overrides }: Serving = {}): Promise<TusServer> {
  const store = await openTestStore(kind)
  const test = await buildTestApp((app, engine) => withTus(tus)(app, watch ? watched(engine, watch) : engine), {
    partSize: 10,
    ...overrides,
    store,
  })
  const { port } = test.app.server.address() as AddressInfo

  function complete({ headers, ...request }: TusRequest): RawRequest {
    const all: Headers = { ...bearer(), 'tus-resumable': '1.0.0', ...headers }
    const sent = Object.entries(all).filter((entry): entry is [string, string | number] => entry[1] !== null)
    return { ...request, headers: Object.fromEntries(sent) }
  }
  const ask = (request: TusRequest) => askFor(port, complete(request))
  const find = (path: string) => test.engine.get(ada, path.split('/').at(-1)!)

  return {
    ...test,
    store,
    port,
    arrived: watchBodies(test.app.server),
    ask,
    async open(request) {
      const connection = await openRaw(port)
      await connection.send(headOf(complete(request)))
      return connection
    },
    async create(length, headers = {}) {
      const size: Headers = length === null ? { 'upload-defer-length': 1 } : { 'upload-length': length }
      const {
        status,
        headers: told,
        body,
      } = await ask({ method: 'POST', path: '/files', headers: { ...size, ...headers } })
      if (status !== 201) throw new Error(`not created: ${status} ${body}`)
      return told['location']!
    },
    head: (path) => ask({ method: 'HEAD', path }),
    patch: (path, offset, body, headers = {}) =>
      ask({ method: 'PATCH', path, headers: { ...chunk, 'upload-offset': offset, ...headers }, body }),
    sessionOf: find,
    async objectOf(path) {
      const { key } = await find(path)
      if (!(await store.stat(key))) return undefined
      return Buffer.concat(await all(store.read(key)))
    },
    keys: () => all(store.list('')),
    openMultiparts: () => store.openMultiparts(),
  }
}

/** The code of a refusal in the one form in which refusals are worded. */
export function codeOf(answer: RawAnswer): unknown {
  return (answer.json()['error'] as Record<string, unknown>)['code']
}

function watched(engine: RunningEngine, watch: (verb: string) => void): RunningEngine {
  return new Proxy(engine, {
    get(target, verb, receiver) {
      watch(String(verb))
      return Reflect.get(target, verb, receiver)
    },
  })
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}
