import type { AddressInfo } from 'node:net'
import { expect } from 'vitest'
import type { RunningEngine } from '../../../src/core/engine.ts'
import type { EngineOptions } from '../../../src/core/engine-options.ts'
import type { UploadRecord } from '../../../src/core/upload.ts'
import type { TusOptions } from '../../../src/protocols/tus/plugin.ts'
import { watchBodies } from '../../support/arrival.ts'
import { bearer, buildTestApp, type TestApp } from '../../support/build-test-app.ts'
import { documentOfFiles, undescribed } from '../../support/described.ts'
import { ada } from '../../support/open-engine.ts'
import { openTestStore, type StoreKind, type TestStore } from '../../support/open-test-store.ts'
import { askFor, headOf, openRaw, type RawAnswer, type RawConnection, type RawRequest } from '../../support/raw-http.ts'
import { withTus } from '../../support/with-tus.ts'

export interface Serving extends Partial<Omit<EngineOptions, 'store'>> {
  /** The store for files. Default: memory. */
  kind?: StoreKind
  tus?: Partial<TusOptions> & { origins?: '*' | string[] }
  /** Called with the name of every method of the engine that tus uses. */
  onCall?: (name: string) => void
  waitMs?: number
}

/** A request in which `null` removes a default header. */
export interface TusRequest extends Omit<RawRequest, 'headers'> {
  headers?: Headers
}

export type Headers = Record<string, string | number | null>

export interface TusServer extends Omit<TestApp, 'store'> {
  store: TestStore
  port: number
  /** Resolves when the server has read `bytes` of a body that has not ended yet. */
  arrived(bytes: number): Promise<void>
  /** Sends a tus request of ada, whose role may send any file. */
  ask(request: TusRequest): Promise<RawAnswer>
  /** A connection on which the request line and headers of `request` were sent. */
  open(request: TusRequest): Promise<RawConnection>
  /** Creates an upload of `length` bytes, or of unknown length. @returns its path */
  create(length: number | null, headers?: Headers): Promise<string>
  head(path: string): Promise<RawAnswer>
  patch(path: string, offset: number | string, body: Buffer | string, headers?: Headers): Promise<RawAnswer>
  /** The upload at `path` in the database. */
  uploadAt(
    path: string,
  ): Promise<Pick<UploadRecord, 'state' | 'offset' | 'size' | 'filename' | 'contentType' | 'category'>>
  /** The object of the upload at `path`; `undefined` while there is none. */
  objectOf(path: string): Promise<Buffer | undefined>
  /** The keys of all objects in the store. */
  keys(): Promise<string[]>
  openMultiparts(): Promise<number>
}

export const chunk = { 'content-type': 'application/offset+octet-stream' }

/** A value for Upload-Metadata. */
export const encoded = (value: string | Buffer) => Buffer.from(value).toString('base64')

/** Serves tus over a real engine, on a port of its own until the test ends. Parts have 10 bytes where the store allows it. */
export async function serve({ tus = {}, kind = 'memory', onCall, ...overrides }: Serving = {}): Promise<TusServer> {
  const store = await openTestStore(kind)
  const test = await buildTestApp((app, engine) => withTus(tus)(app, onCall ? observed(engine, onCall) : engine), {
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
  const document = await documentOfFiles()
  const ask = async (request: TusRequest) => {
    const answer = await askFor(port, complete(request))
    expect(undescribed(document, { ...request, url: request.path }, answer)).toEqual([])
    return answer
  }
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
      const answer = await ask({ method: 'POST', path: '/files', headers: { ...size, ...headers } })
      if (answer.status !== 201) throw new Error(`not created: ${answer.status} ${answer.body}`)
      return answer.headers['location']!
    },
    head: (path) => ask({ method: 'HEAD', path }),
    patch: (path, offset, body, headers = {}) =>
      ask({ method: 'PATCH', path, headers: { ...chunk, 'upload-offset': offset, ...headers }, body }),
    uploadAt: find,
    async objectOf(path) {
      const { key } = await find(path)
      if (!(await store.stat(key))) return undefined
      return Buffer.concat(await all(store.read(key)))
    },
    keys: () => all(store.list('')),
    openMultiparts: () => store.openMultiparts(),
  }
}

/** The code of an error, in the form that all protocols share. */
export function codeOf(answer: RawAnswer): unknown {
  return (answer.json()['error'] as Record<string, unknown>)['code']
}

function observed(engine: RunningEngine, onCall: (name: string) => void): RunningEngine {
  return new Proxy(engine, {
    get(target, name, receiver) {
      onCall(String(name))
      return Reflect.get(target, name, receiver)
    },
  })
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}
