import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { memoryOn } from '../../src/client/memory.ts'
import type { SendableFile, TransferView } from '../../src/client/transfer-view.ts'
import { createUploads, type Uploads, type UploadsOptions } from '../../src/client/uploads.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { type TestApp, testApp } from '../support/test-app.ts'

/** One request as it came in. */
export interface Seen {
  method: string
  url: string
  /** What PATCH said in Upload-Offset. */
  offset: number | null
}

export interface OpenUploads {
  app: TestApp
  uploads: Uploads
  /** Another visit of the same person: nothing is shared but the memory and the server. */
  visitAgain(): Uploads
  seen: Seen[]
  /** From now on asked before every request: true when it has answered itself. */
  interfere(answer: Answer): void
  /** Lets some MiB through, once, and then cuts the line. */
  cutOnce(): void
  token: { current: string | null }
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => boolean

/** The client in front of a whole app that listens; what comes in is written down, and can be answered by the test instead. */
export async function openUploads(options: Partial<UploadsOptions> = {}): Promise<OpenUploads> {
  const app = await testApp({ PART_SIZE: '256KiB' })
  await app.http.ready()
  const seen: Seen[] = []
  let interfering: Answer = () => false
  const server = createServer((request, response) => {
    const offset = request.headers['upload-offset']
    seen.push({ method: request.method!, url: request.url!, offset: offset === undefined ? null : Number(offset) })
    if (!interfering(request, response)) app.http.server.emit('request', request, response)
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const wire = await startFaultProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  onTestFinished(async () => {
    await wire.close()
    server.closeAllConnections()
    server.close()
  })

  const token = { current: (await app.as()).authorization.slice('Bearer '.length) as string | null }
  const memory = memoryOn(shelf())
  const visit = () =>
    createUploads({
      endpoint: `${wire.endpoint}/files`,
      token: () => token.current,
      owner: () => 'ada',
      memory,
      isOnline: () => true,
      tus: { fileReader: blobReader },
      ...options,
    })
  const uploads = visit()
  const interfere = (answer: Answer) => void (interfering = answer)
  function cutOnce(): void {
    wire.set({ cutAfterBytes: 2 * 1024 ** 2 })
    const stop = uploads.subscribe(() => {
      if (wire.counts.cuts === 0) return
      wire.set({})
      stop()
    })
  }
  return { app, uploads, visitAgain: visit, seen, token, interfere, cutOnce }
}

/** What is shown of a transfer, once it is as wished. */
export function until(uploads: Uploads, id: string, isSo: (view: TransferView) => boolean): Promise<TransferView> {
  return new Promise((resolve) => {
    let stop = () => {}
    const look = () => {
      const view = uploads.views().find((one) => one.id === id)
      if (!view || !isSo(view)) return
      stop()
      resolve(view)
    }
    stop = uploads.subscribe(look)
    look()
  })
}

/** A file as a browser would hand it over. */
export function fileOf(bytes: Buffer, name = 'film.bin', lastModified = 1): SendableFile {
  return new File([new Uint8Array(bytes)], name, { type: 'application/octet-stream', lastModified })
}

/** In a browser tus-js-client reads Blobs itself; its edition for Node does not. */
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

function shelf() {
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
