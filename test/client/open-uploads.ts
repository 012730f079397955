import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { memoryOn } from '../../src/client/memory.ts'
import type { SendableFile, TransferView } from '../../src/client/transfer-view.ts'
import { createUploads, type Uploads, type UploadsOptions } from '../../src/client/uploads.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { type TestApp, testApp } from '../support/test-app.ts'

/** A request to the server. */
export interface RecordedRequest {
  method: string
  url: string
  /** The Upload-Offset header of a PATCH. */
  offset: number | null
}

export interface OpenUploads {
  app: TestApp
  uploads: Uploads
  /** Opens the page again for the same user: it shares only the memory and the server. */
  reopenPage(): Uploads
  requests: RecordedRequest[]
  /** Sets a handler that is called before every request; it returns true when it has sent the response. */
  intercept(answer: Interceptor): void
  /** Cuts the next connection after 2 MiB. */
  cutConnectionOnce(): void
  token: { current: string | null }
}

export type Interceptor = (request: IncomingMessage, response: ServerResponse) => boolean

/** A client and a complete app that listens; requests are recorded, and the test can respond to them instead of the app. */
export async function openUploads(options: Partial<UploadsOptions> = {}): Promise<OpenUploads> {
  const app = await testApp({ PART_SIZE: '256KiB' })
  await app.http.ready()
  const requests: RecordedRequest[] = []
  let interceptor: Interceptor = () => false
  const server = createServer((request, response) => {
    const offset = request.headers['upload-offset']
    requests.push({ method: request.method!, url: request.url!, offset: offset === undefined ? null : Number(offset) })
    if (!interceptor(request, response)) app.http.server.emit('request', request, response)
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const proxy = await startFaultProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  onTestFinished(async () => {
    await proxy.close()
    server.closeAllConnections()
    server.close()
  })

  const token = { current: (await app.as()).authorization.slice('Bearer '.length) as string | null }
  const memory = memoryOn(createStorage())
  const openPage = () =>
    createUploads({
      endpoint: `${proxy.endpoint}/files`,
      token: () => token.current,
      owner: () => 'ada',
      memory,
      isOnline: () => true,
      tus: { fileReader: blobReader },
      ...options,
    })
  const uploads = openPage()
  const intercept = (answer: Interceptor) => void (interceptor = answer)
  function cutConnectionOnce(): void {
    proxy.set({ cutAfterBytes: 2 * 1024 ** 2 })
    const stop = uploads.subscribe(() => {
      if (proxy.counts.cuts === 0) return
      proxy.set({})
      stop()
    })
  }
  return { app, uploads, reopenPage: openPage, requests, token, intercept, cutConnectionOnce }
}

/** The view of a transfer, once it satisfies `condition`. */
export function until(uploads: Uploads, id: string, condition: (view: TransferView) => boolean): Promise<TransferView> {
  return new Promise((resolve) => {
    let stop = () => {}
    const look = () => {
      const view = uploads.views().find((view) => view.id === id)
      if (!view || !condition(view)) return
      stop()
      resolve(view)
    }
    stop = uploads.subscribe(look)
    look()
  })
}

/** A file as a browser passes it to the page. */
export function fileOf(bytes: Buffer, name = 'film.bin', lastModified = 1): SendableFile {
  return new File([new Uint8Array(bytes)], name, { type: 'application/octet-stream', lastModified })
}

/** Reads Blobs: the Node build of tus-js-client does not support them. */
const blobReader = {
  async openFile(file: Blob) {
    return {
      size: file.size,
      async slice(start: number, end: number) {
        const bytes = Buffer.from(await file.slice(start, end).arrayBuffer())
        return { value: Object.assign(bytes, { size: bytes.length }), done: end >= file.size }
      },
      close() {},
    }
  },
}

function createStorage() {
  const entries = new Map<string, string>()
  return {
    getItem: (key: string) => entries.get(key) ?? null,
    setItem: (key: string, value: string) => void entries.set(key, value),
    removeItem: (key: string) => void entries.delete(key),
    key: (index: number) => [...entries.keys()][index] ?? null,
    get length() {
      return entries.size
    },
  }
}
