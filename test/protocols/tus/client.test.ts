import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type PreviousUpload, Upload, type UploadOptions, type UrlStorage } from 'tus-js-client'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bearer } from '../../support/build-test-app.ts'
import { startFaultProxy } from '../../support/fault-proxy.ts'
import { unavailable } from '../../support/memory-store.ts'
import { protocolStores, type StoreKind } from '../../support/open-test-store.ts'
import { until } from '../../support/until.ts'
import { serve as serveOn, type TusServer } from './serve.ts'

type Input = Buffer | Readable

/** An upload of the published client, with the options of an application. `done` resolves when the client reports success. */
function prepare({ url }: TusServer, file: Input, options: Partial<UploadOptions> = {}) {
  const { promise: done, resolve, reject } = Promise.withResolvers<Upload>()
  const upload: Upload = new Upload(file as Buffer, {
    endpoint: `${url}/files/`,
    headers: bearer(),
    metadata: { filename: 'holiday.bin', filetype: 'application/octet-stream' },
    retryDelays: [0, 100, 300],
    onSuccess: () => resolve(upload),
    onError: reject,
    ...options,
  })
  return { upload, done }
}

function send(server: TusServer, file: Input, options?: Partial<UploadOptions>): Promise<Upload> {
  const { upload, done } = prepare(server, file, options)
  upload.start()
  return done
}

/** The SHA-256 of every object in the store, once the engine has drained. */
async function sumsIn(server: TusServer): Promise<string[]> {
  await server.engine.drained()
  const sums: string[] = []
  for (const key of await server.keys()) {
    const hash = createHash('sha256')
    for await (const bytes of server.store.read(key)) hash.update(bytes)
    sums.push(hash.digest('hex'))
  }
  return sums
}

const sum = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** Stores the URLs of uploads as a browser does, for one test. */
function urlStorageInMemory(): UrlStorage & { isFilled(): boolean } {
  const known = new Map<string, PreviousUpload & { fingerprint: string }>()
  return {
    isFilled: () => known.size > 0,
    findAllUploads: async () => [...known.values()],
    findUploadsByFingerprint: async (fingerprint) =>
      [...known.values()].filter((one) => one.fingerprint === fingerprint),
    removeUpload: async (key) => void known.delete(key),
    async addUpload(fingerprint, upload) {
      const urlStorageKey = String(known.size)
      known.set(urlStorageKey, { ...upload, fingerprint, urlStorageKey })
      return urlStorageKey
    },
  }
}

// Larger than one part in every store. The parts of S3 have at least 5 MiB.
const bulk: Record<StoreKind, number> = { memory: 1_000_003, local: 1_000_003, s3: 13_000_003 }

describe.each(protocolStores)('tus-js-client, with files in %s', (kind) => {
  const serve = () => serveOn({ kind, partSize: 64 * 1024 })
  const size = bulk[kind]
  const chunk = Math.ceil(size / 9)

  it.each<[string, number, Partial<UploadOptions>]>([
    ['in one request', size, {}],
    ['in chunks', size, { chunkSize: chunk }],
    ['with the first bytes in the creation', size, { chunkSize: chunk, uploadDataDuringCreation: true }],
    ['whole in the creation', size, { uploadDataDuringCreation: true }],
    ['by POST with a method override', size, { overridePatchMethod: true, chunkSize: chunk }],
    ['with an id for each request', size, { addRequestId: true }],
    ['of no bytes', 0, {}],
    ['of no bytes with the creation', 0, { uploadDataDuringCreation: true }],
    ['of one byte', 1, {}],
    ['in parallel uploads', size, { parallelUploads: 4 }],
    ['in parallel uploads, each in chunks', size, { parallelUploads: 3, chunkSize: chunk }],
    ['in parallel uploads with data in the creation', size, { parallelUploads: 2, uploadDataDuringCreation: true }],
    ['in parallel uploads by POST', size, { parallelUploads: 2, overridePatchMethod: true }],
  ])('sends a file %s', async (_, length, options) => {
    const server = await serve()
    const bytes = randomBytes(length)

    await send(server, bytes, options)

    expect(await sumsIn(server)).toEqual([sum(bytes)])
  })

  it.each([
    ['', {}],
    [', with the first bytes in the creation', { uploadDataDuringCreation: true }],
    [', by POST', { overridePatchMethod: true }],
  ])('sends a stream whose length it does not know%s', async (_, more) => {
    const server = await serve()
    const bytes = randomBytes(size)
    const stream = Readable.from([bytes.subarray(0, 123_456), bytes.subarray(123_456)])

    await send(server, stream, { uploadLengthDeferred: true, chunkSize: chunk, ...more })

    expect(await sumsIn(server)).toEqual([sum(bytes)])
  })

  it('sends a file from disk', async () => {
    const server = await serve()
    const bytes = randomBytes(size)
    const directory = await mkdtemp(join(tmpdir(), 'landfall-client-'))
    onTestFinished(() => rm(directory, { recursive: true, force: true }))
    const file = join(directory, 'holiday.bin')
    await writeFile(file, bytes)

    await send(server, createReadStream(file), { chunkSize: chunk, uploadSize: size })

    expect(await sumsIn(server)).toEqual([sum(bytes)])
  })

  it.each([
    ['a file', {}],
    ['a file in parallel uploads', { parallelUploads: 3 }],
  ])('resumes %s after an abort without sending a byte twice', async (_, more) => {
    const server = await serve()
    const bytes = randomBytes(size)
    const options = { urlStorage: urlStorageInMemory(), fingerprint: async () => 'holiday', chunkSize: chunk, ...more }
    let accepted = 0
    await new Promise<void>((resolve) => {
      const { upload } = prepare(server, bytes, {
        ...options,
        onChunkComplete(chunkSize) {
          accepted += chunkSize
          if (accepted >= size / 3 && options.urlStorage.isFilled()) void upload.abort().then(resolve)
        },
      })
      upload.start()
    })
    let sentAgain = 0
    server.app.server.on('request', ({ method, headers }) => {
      if (method === 'PATCH' && headers['x-again']) sentAgain += Number(headers['content-length'])
    })

    const { upload, done } = prepare(server, bytes, { ...options, headers: { ...bearer(), 'x-again': 'yes' } })
    const [previous] = await upload.findPreviousUploads()
    upload.resumeFromPreviousUpload(previous!)
    upload.start()
    await done

    expect(await sumsIn(server)).toEqual([sum(bytes)])
    expect(sentAgain).toBeLessThanOrEqual(size - accepted)
  })

  it('terminates an upload', async () => {
    const server = await serve()
    await new Promise<void>((resolve) => {
      const { upload } = prepare(server, randomBytes(size), {
        chunkSize: chunk,
        onChunkComplete: () => void upload.abort(true).then(resolve),
      })
      upload.start()
    })

    expect(await sumsIn(server)).toEqual([])
  })

  it('reports that an upload is terminated although the answer was lost', async () => {
    const server = await serve()
    const path = await server.create(100)
    const proxy = await startFaultProxy({ host: '127.0.0.1', port: server.port })
    onTestFinished(() => proxy.close())
    const requests: string[] = []

    proxy.set({ dropReply: true })
    const terminated = Upload.terminate(`${proxy.endpoint}${path}`, {
      headers: bearer(),
      retryDelays: [0, 0],
      onAfterResponse: (request, response) => void requests.push(`${request.getMethod()} ${response.getStatus()}`),
    })
    await until(() => proxy.counts.swallowed > 0)
    proxy.set({})
    proxy.cutAll()
    await terminated

    expect(requests).toEqual(['DELETE 204'])
    expect((await server.head(path)).status).toBe(410)
  })

  it.each([
    ['', {}],
    [' in parallel uploads', { parallelUploads: 4 }],
  ])('completes the file although connections break%s', async (_, more) => {
    const server = await serve()
    const bytes = randomBytes(size)
    let broken = 0
    const patching: Socket[] = []
    server.app.server.on('request', ({ method, socket }) => method === 'PATCH' && patching.push(socket))
    // Breaks the connection of a PATCH while some of its bytes are on their way to the store.
    server.store.fault = (call) => {
      const socket = call === 'remove' || broken === 3 ? undefined : patching.shift()
      if (!socket) return
      broken += 1
      socket.destroy()
    }

    await send(server, bytes, { retryDelays: [0, 50, 100, 200, 400], ...more })

    expect(broken).toBeGreaterThan(0)
    expect(await sumsIn(server)).toEqual([sum(bytes)])
  })

  it('completes the file although the store fails for a moment', async () => {
    const server = await serve()
    const bytes = randomBytes(size)
    let failed = 0
    server.store.fault = (call) => {
      if (call === 'remove' || failed === 2) return
      failed += 1
      throw unavailable()
    }

    await send(server, bytes, { chunkSize: chunk, retryDelays: [0, 50, 100, 200, 400] })

    expect(failed).toBe(2)
    expect(await sumsIn(server)).toEqual([sum(bytes)])
  })

  it('stops at an error that no retry can fix, and reports its code', async () => {
    const server = await serve()
    const requests: string[] = []
    server.app.server.on('request', ({ method }) => requests.push(method!))

    const error = await send(server, randomBytes(100), { headers: bearer('ned:nobody') }).catch((error: Error) => error)

    expect(String(error)).toContain('ROLE_NOT_ALLOWED')
    expect(requests).toEqual(['POST'])
  })
})
