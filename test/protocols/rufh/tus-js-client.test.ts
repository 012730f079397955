import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import * as tus from 'tus-js-client'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startFaultProxy } from '../../support/fault-proxy.ts'
import { unavailable } from '../../support/memory-store.ts'
import { protocolStores, type StoreKind } from '../../support/open-test-store.ts'
import { until } from '../../support/until.ts'
import { type Served, type Serving, serve as serveOn } from './serve.ts'

// The types of the package lack this option.
type Options = Partial<tus.UploadOptions> & { protocol?: string }

// Larger than one part in every store. The parts of S3 have at least 5 MiB.
const bulk: Record<StoreKind, number> = { memory: 1000, local: 1000, s3: 13_000_000 }

const protocols = ['ietf-draft-03', 'ietf-draft-05'] as const

/** Sends `file`. @returns the path of its upload and the methods of all requests; rejects when tus-js-client fails */
function send(server: Served, file: Buffer | Readable, options: Options): Promise<{ url: string; requests: string[] }> {
  const requests: string[] = []
  return new Promise((resolve, reject) => {
    const settings: Options = {
      endpoint: `http://127.0.0.1:${server.port}/files`,
      headers: { authorization: 'Bearer ada:creator' },
      metadata: { filename: 'grüße.txt', filetype: 'text/plain' },
      retryDelays: [20, 20, 50, 100],
      onError: reject,
      onSuccess: () => resolve({ url: new URL(upload.url!).pathname, requests }),
      ...options,
      onBeforeRequest(request) {
        requests.push(request.getMethod())
        return options.onBeforeRequest?.(request)
      },
    }
    const upload: tus.Upload = new tus.Upload(file as never, settings)
    upload.start()
  })
}

describe.each(protocolStores)('RUFH in tus-js-client, with files in %s', (kind) => {
  const serve = (serving: Serving = {}) => serveOn({ kind, ...serving })
  const size = bulk[kind]
  const chunk = (size * 13) / 100

  describe.each(protocols)('with the protocol %s', (protocol) => {
    it.each<[string, number, Options]>([
      ['a file in one request', size, {}],
      ['a file in chunks', size, { chunkSize: chunk }],
      ['a file in the creation', size, { uploadDataDuringCreation: true }],
      ['a file in the creation and in chunks', size, { uploadDataDuringCreation: true, chunkSize: chunk }],
      ['an empty file', 0, {}],
      ['an empty file in the creation', 0, { uploadDataDuringCreation: true }],
      ['a file by POST instead of PATCH', size, { overridePatchMethod: true, chunkSize: chunk }],
    ])('sends %s', async (_, length, options) => {
      const server = await serve({ partSize: 100 })
      const bytes = randomBytes(length)

      const { url } = await send(server, bytes, { protocol, ...options })

      expect((await server.objectOf(url))?.equals(bytes)).toBe(true)
      expect(await server.uploadAt(url)).toMatchObject({
        state: 'completed',
        filename: 'grüße.txt',
        contentType: 'text/plain',
      })
    })

    // With other lengths, tus-js-client 4 announces a longer last chunk than it sends, in tus as well.
    it.each([1, chunk - 1, size])('sends a stream of %i bytes whose length it does not know', async (length) => {
      const server = await serve({ partSize: 100 })
      const bytes = randomBytes(length)

      const { url } = await send(server, Readable.from([bytes], { objectMode: false }), {
        protocol,
        uploadLengthDeferred: true,
        chunkSize: chunk,
      })

      expect((await server.objectOf(url))?.equals(bytes)).toBe(true)
    })

    // tus-js-client sends the last bytes of a stream with ?0, because it does not know yet that the stream has ended, and sends no ?1 later.
    it.each<[string, Options]>([
      ['in one request', { chunkSize: size }],
      ['in chunks', { chunkSize: chunk }],
      ['in chunks that fill the file', { chunkSize: size / 4 }],
      ['with its first bytes in the creation', { chunkSize: chunk, uploadDataDuringCreation: true }],
      ['whole in the creation', { chunkSize: size, uploadDataDuringCreation: true }],
    ])('completes a stream of known length %s', async (_, options) => {
      const server = await serve({ partSize: 100 })
      const bytes = randomBytes(size)

      const stream = Readable.from([bytes], { objectMode: false })
      const { url } = await send(server, stream, { protocol, uploadSize: size, ...options })

      expect((await server.uploadAt(url)).state).toBe('completed')
      expect((await server.objectOf(url))?.equals(bytes)).toBe(true)
    })

    it('resumes a stream whose connection was cut in the middle', async () => {
      const server = await serve({ partSize: 100 })
      const bytes = randomBytes(size)
      const proxy = await startFaultProxy({ host: '127.0.0.1', port: server.port })
      onTestFinished(() => proxy.close())
      let isCut = false

      const stream = Readable.from([bytes], { objectMode: false })
      const { url, requests } = await send({ ...server, port: proxy.port }, stream, {
        protocol,
        uploadSize: size,
        chunkSize: size / 4,
        onChunkComplete() {
          if (isCut) return
          isCut = true
          proxy.cutAll()
          proxy.set({ cutAfterBytes: 1 })
        },
        onBeforeRequest(request) {
          if (isCut && request.getMethod() === 'HEAD') proxy.set({})
        },
      })

      expect(requests).toContain('HEAD')
      expect((await server.uploadAt(url)).state).toBe('completed')
      expect((await server.objectOf(url))?.equals(bytes)).toBe(true)
    })

    it('resumes an aborted upload', async () => {
      const server = await serve({ partSize: 100 })
      const bytes = randomBytes(size)
      const uploadUrl = await new Promise<string>((resolve, reject) => {
        const settings: Options = {
          endpoint: `http://127.0.0.1:${server.port}/files`,
          headers: { authorization: 'Bearer ada:creator' },
          protocol,
          chunkSize: chunk,
          onError: reject,
          onChunkComplete(_size, accepted) {
            if (accepted === 3 * chunk) void upload.abort().then(() => resolve(upload.url!))
          },
        }
        const upload: tus.Upload = new tus.Upload(bytes as never, settings)
        upload.start()
      })

      const { url, requests } = await send(server, bytes, { protocol, uploadUrl, chunkSize: chunk })

      expect(requests[0]).toBe('HEAD')
      expect(requests).not.toContain('POST')
      expect((await server.objectOf(url))?.equals(bytes)).toBe(true)
    })

    it('terminates an upload', async () => {
      const server = await serve()
      const { url } = await send(server, randomBytes(35), { protocol })

      await tus.Upload.terminate(`http://127.0.0.1:${server.port}${url}`, {
        headers: { authorization: 'Bearer ada:creator' },
        protocol,
      } as never)

      expect(await server.keys()).toEqual([])
    })

    it('completes one upload although the store fails at times', async () => {
      const server = await serve({ partSize: 100 })
      const bytes = randomBytes(2.5 * server.part)
      const failing = new Map([
        ['uploadPart', 2],
        ['completeMultipart', 2],
      ])
      server.store.fault = (call, at) => {
        const left = failing.get(call) ?? 0
        if (at === 'after' || left === 0) return
        failing.set(call, left - 1)
        throw unavailable()
      }

      const { url, requests } = await send(server, bytes, { protocol, chunkSize: 1.5 * server.part })

      expect(requests.filter((method) => method === 'POST')).toHaveLength(1)
      expect([...failing.values()]).toEqual([0, 0])
      expect((await server.objectOf(url))?.equals(bytes)).toBe(true)
    })

    it('asks for the offset after it lost the last answer', async () => {
      const server = await serve({ partSize: 100 })
      const bytes = randomBytes(1000)
      const proxy = await startFaultProxy({ host: '127.0.0.1', port: server.port })
      onTestFinished(() => proxy.close())
      let isDropped = false

      const { url, requests } = await send({ ...server, port: proxy.port }, bytes, {
        protocol,
        onBeforeRequest(request) {
          if (isDropped || request.getHeader('Upload-Complete') !== '?1') return
          isDropped = true
          proxy.set({ dropReply: true })
          void until(() => proxy.counts.swallowed > 0).then(() => {
            proxy.set({})
            proxy.cutAll()
          })
        },
      })

      expect(requests.slice(0, 3)).toEqual(['POST', 'PATCH', 'HEAD'])
      expect(await server.objectOf(url)).toEqual(bytes)
    })

    it('completes an upload that has all its bytes', async () => {
      const server = await serve({ partSize: 100 })
      const bytes = randomBytes(250)
      const { headers } = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { 'upload-draft-interop-version': 6, 'upload-complete': '?0', 'upload-length': 250 },
        body: bytes,
      })

      const { url } = await send(server, bytes, {
        protocol,
        uploadUrl: `http://127.0.0.1:${server.port}${headers['location']}`,
      })

      expect(await server.objectOf(url)).toEqual(bytes)
    })
  })
})
