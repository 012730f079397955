import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import {
  type ClientRequest,
  createServer,
  request as forward,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { crc32 } from 'node:zlib'
import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { makeNamedKey } from '../../src/core/object-key.ts'
import { NoSuchKey, NoSuchUpload } from '../../src/core/ports/object-store.ts'
import { addressOf } from '../../src/stores/s3/client.ts'
import { type S3Options, s3Options } from '../../src/stores/s3/options.ts'
import { s3Store } from '../../src/stores/s3/store.ts'
import { type S3StandIn, startS3StandIn } from '../support/s3-stand-in.ts'
import { inChunks, readAll, storeContract } from './contract.ts'

const MiB = 1024 ** 2
const partSize = 5 * MiB
const metadata = { contentType: 'image/png' }

function optionsFor(
  server: { endpoint: string; bucket: string; accessKeyId: string; secretAccessKey: string },
  prefix = '',
) {
  return s3Options.parse({
    S3_ENDPOINT: server.endpoint,
    S3_BUCKET: server.bucket,
    S3_ACCESS_KEY_ID: server.accessKeyId,
    S3_SECRET_ACCESS_KEY: server.secretAccessKey,
    S3_PREFIX: prefix,
  })
}

async function openStandIn(etags: 'md5' | 'opaque' = 'md5', more: Partial<S3Options> = {}) {
  const server = await startS3StandIn({ equalParts: true, etags })
  const store = s3Store({ ...optionsFor(server, 'uploads/'), ...more })
  onTestFinished(async () => {
    await store.close()
    await server.close()
  })
  return { server, store, openMultiparts: async () => server.multiparts().length }
}

/** A store whose server responds to every complete request by `answer`. */
async function openAnswering(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer((request, response) => request.resume().once('end', () => answer(request, response)))
  const store = s3Store(
    optionsFor({ endpoint: await addressOfServer(server), bucket: 'uploads', accessKeyId: 'a', secretAccessKey: 'b' }),
  )
  onTestFinished(() => store.close())
  return store
}

/** Starts `server` until the test is over; its URL. */
async function addressOfServer(server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A store that reaches the stand-in through a proxy in which `pass` forwards every request. */
async function openBehind(
  pass: (request: IncomingMessage, forwarded: ClientRequest) => void,
  settings: Partial<S3Options> = {},
) {
  const { server } = await openStandIn()
  const { port } = new URL(server.endpoint)
  const proxy = createServer((request, response) => {
    const { url: path, method, headers } = request
    const forwarded = forward({ host: '127.0.0.1', port, path, method, headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(response)
    })
    pass(request, forwarded)
  })
  const store = s3Store({ ...optionsFor({ ...server, endpoint: await addressOfServer(proxy) }), ...settings })
  onTestFinished(() => store.close())
  return { server, store }
}

storeContract('s3', () => openStandIn(), partSize)
storeContract('s3 with S3_CRC32', () => openStandIn('md5', { S3_CRC32: true }), partSize, { crc32s: 'sent' })
storeContract('s3, encrypted with a key of its own', () => openStandIn('opaque'), partSize, {
  etagsIdentifyBytes: false,
})

describe('requests', () => {
  it('are counted, and with them each attempt of those that carry bytes', async () => {
    const server = await startS3StandIn()
    const counted: string[] = []
    const store = s3Store(optionsFor(server), { onRequest: (operation, code) => counted.push(`${operation} ${code}`) })
    onTestFinished(async () => {
      await store.close()
      await server.close()
    })
    server.faults.next('PutObject', { status: 503, code: 'SlowDown' })

    await store.put('a', inChunks(Buffer.from('x')), metadata)
    await store.stat('a')

    expect(counted).toEqual(['PutObject SlowDown', 'PutObject OK', 'HeadObject OK'])
  })
})

describe('notices for the operator', () => {
  it.each([true, false])('mention old versions only where the bucket keeps them (%s)', async (versioned) => {
    const server = await startS3StandIn({ versioned })
    const store = s3Store(optionsFor(server))
    onTestFinished(async () => {
      await store.close()
      await server.close()
    })

    const notices = await store.notices?.()

    expect(notices).toEqual(versioned ? [expect.stringMatching(/keeps old versions.*docs\/buckets\.md/)] : [])
  })
})

describe('headers that R2 and others refuse', () => {
  it('are not sent: checksums where S3 does not require them, framing of bodies', async () => {
    const sent: [string, string, string][] = []
    const { store } = await openBehind((request, forwarded) => {
      const { method = '', headers } = request
      sent.push([method, Object.keys(headers).join(' '), headers['content-encoding'] ?? ''])
      request.pipe(forwarded)
    })

    await store.put('a', inChunks(randomBytes(partSize)), metadata)
    const multipartId = await store.createMultipart('b', { ...metadata, partSize })
    const parts = [
      await store.uploadPart('b', multipartId, 1, inChunks(randomBytes(partSize))),
      await store.copyPart('b', multipartId, 2, { key: 'a', start: 0, end: partSize }),
    ]
    await store.completeMultipart('b', multipartId, parts)
    await store.remove(['a'])

    expect(sent).toHaveLength(7)
    for (const [method, names, encoding] of sent)
      expect([method, names, encoding]).toEqual([
        method,
        expect.not.stringMatching(/checksum|trailer|transfer-encoding/),
        '',
      ])
  })
})

describe('bytes that are corrupted in transit', () => {
  /** Changes the first byte of each of the first two bodies. */
  function corruptTwo() {
    let remaining = 2
    return (request: IncomingMessage, forwarded: ClientRequest) => {
      let isFirst = true
      request.on('data', (chunk: Buffer) => {
        if (isFirst && remaining > 0) {
          remaining -= 1
          chunk[0]! ^= 1
        }
        isFirst = false
        forwarded.write(chunk)
      })
      request.on('end', () => forwarded.end())
    }
  }

  it('are refused and sent again with S3_CONTENT_MD5', async () => {
    const { server, store } = await openBehind(corruptTwo(), { S3_CONTENT_MD5: true })
    const whole = randomBytes(partSize)

    await store.put('at-once', inChunks(whole), metadata)
    const multipartId = await store.createMultipart('in-parts', { ...metadata, partSize })
    const part = await store.uploadPart('in-parts', multipartId, 1, inChunks(whole))
    await store.completeMultipart('in-parts', multipartId, [part])

    for (const key of ['at-once', 'in-parts']) expect((await readAll(store, key)).equals(whole)).toBe(true)
    expect(server.requests).toMatchObject({ PutObject: 3, UploadPart: 1 })
  })

  it('and sent again are in the CRC-32 once', async () => {
    const { store } = await openBehind(corruptTwo(), { S3_CONTENT_MD5: true, S3_CRC32: true })
    const whole = randomBytes(70_000)

    const { crc32: sum } = await store.put('a', inChunks(whole), metadata)

    expect(sum).toBe(crc32(whole))
  })
})

describe('an object that browsers must not display', () => {
  it('has Content-Disposition: attachment, put at once or in parts', async () => {
    const { server, store } = await openStandIn()
    const metadata = { contentType: 'image/svg+xml', isAttachment: true }

    await store.put('at-once', inChunks(Buffer.from('<svg/>')), metadata)
    const multipartId = await store.createMultipart('in-parts', { ...metadata, partSize })
    const part = await store.uploadPart('in-parts', multipartId, 1, inChunks(Buffer.from('<svg/>')))
    await store.completeMultipart('in-parts', multipartId, [part])

    const client = new S3Client({ ...server, forcePathStyle: true, credentials: server })
    for (const key of ['at-once', 'in-parts']) {
      const head = await client.send(new HeadObjectCommand({ Bucket: server.bucket, Key: `uploads/${key}` }))
      expect(head).toMatchObject({ ContentType: 'image/svg+xml', ContentDisposition: 'attachment' })
    }
  })
})

describe.each(['md5', 'opaque'] as const)('a failing bucket with %s ETags', (etags) => {
  async function twoParts({ store }: Awaited<ReturnType<typeof openStandIn>>) {
    const bytes = randomBytes(partSize + 100)
    const multipartId = await store.createMultipart('a', { ...metadata, partSize })
    const parts = [
      await store.uploadPart('a', multipartId, 1, inChunks(bytes.subarray(0, partSize))),
      await store.uploadPart('a', multipartId, 2, inChunks(bytes.subarray(partSize))),
    ]
    return { bytes, multipartId, parts }
  }

  it.each([
    ['fails once', { status: 500 }],
    ['is answered 200 with an error in the body', { errorBodyWith200: true }],
    ['is performed and its answer lost', { dropReply: true }],
    ['is answered SlowDown', { status: 503 }],
  ] as const)('completes an object when the completion %s', async (_, fault) => {
    const world = await openStandIn(etags)
    const { bytes, multipartId, parts } = await twoParts(world)
    world.server.faults.next('CompleteMultipartUpload', fault as never)

    let info = await world.store.completeMultipart('a', multipartId, parts).catch(() => null)
    info ??= await world.store.completeMultipart('a', multipartId, parts)

    expect(info.size).toBe(bytes.length)
    expect((await readAll(world.store, 'a')).equals(bytes)).toBe(true)
  })

  it('has lost the parts when it aborted the multipart upload', async () => {
    const world = await openStandIn(etags)
    const { multipartId, parts } = await twoParts(world)
    expect(world.server.multiparts()).toHaveLength(1)
    await world.server.abortMultiparts()

    await expect(world.store.completeMultipart('a', multipartId, parts)).rejects.toBeInstanceOf(NoSuchUpload)
    await expect(world.store.uploadPart('a', multipartId, 3, inChunks(randomBytes(10)))).rejects.toBeInstanceOf(
      NoSuchUpload,
    )
  })

  it('has lost the parts when one is not what was recorded', async () => {
    const world = await openStandIn(etags)
    const { multipartId, parts } = await twoParts(world)
    await world.store.uploadPart('a', multipartId, 1, inChunks(randomBytes(partSize)))

    await expect(world.store.completeMultipart('a', multipartId, parts)).rejects.toBeInstanceOf(NoSuchUpload)
  })

  it('does not pass another object under the key for the completed one', async () => {
    const world = await openStandIn(etags)
    const { multipartId, parts } = await twoParts(world)
    await world.server.abortMultiparts()
    await world.store.put('a', inChunks(randomBytes(partSize + 101)), metadata)

    await expect(world.store.completeMultipart('a', multipartId, parts)).rejects.toBeInstanceOf(NoSuchUpload)
  })

  it.each([
    ['breaks the connection', { dropConnection: true }],
    ['loses the answer', { dropReply: true }],
    ['is busy', { status: 503 }],
  ] as const)('receives a part again when it %s', async (_, fault) => {
    const world = await openStandIn(etags)
    const bytes = randomBytes(partSize)
    const multipartId = await world.store.createMultipart('a', { ...metadata, partSize })
    world.server.faults.next('UploadPart', { ...fault, times: 2 } as never)

    const part = await world.store.uploadPart('a', multipartId, 1, inChunks(bytes))
    await world.store.completeMultipart('a', multipartId, [part])

    expect((await readAll(world.store, 'a')).equals(bytes)).toBe(true)
  })

  it('does not make a retry look like a conflict with another writer', async () => {
    const world = await openStandIn(etags)
    world.server.faults.next('PutObject', { dropReply: true } as never)
    const bytes = randomBytes(1000)

    const info = await world.store.put('a', inChunks(bytes), { ...metadata, isNew: true })

    expect(info.size).toBe(1000)
  })

  it('leads to STORE_UNAVAILABLE without secrets when it keeps failing', { timeout: 60_000 }, async () => {
    const world = await openStandIn(etags)
    world.server.faults.next('PutObject', { status: 500, times: 50 } as never)

    const error = await world.store
      .put('secret/key', inChunks(randomBytes(10)), metadata)
      .catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', facts: { operation: 'PutObject', storeStatus: 500 } })
    expect(String(error)).not.toContain('secret')
  })
})

describe('removing', () => {
  // Google's store answers so; and a retry finds no object when the answer to the first attempt was lost.
  it('succeeds when a store answers NoSuchKey', async () => {
    const { server, store } = await openStandIn()
    server.faults.next('DeleteObject', { status: 404, code: 'NoSuchKey' })

    await expect(store.remove(['a'])).resolves.toBeUndefined()
  })

  it('falls back to single requests where a store refuses DeleteObjects', async () => {
    const { server, store } = await openStandIn()
    for (const key of ['a', 'b']) await store.put(key, inChunks(randomBytes(10)), metadata)
    server.faults.next('DeleteObjects', { status: 400, code: 'MissingContentMD5', times: Infinity })

    await store.remove(['a', 'b', 'c'])

    expect(server.objects()).toEqual([])
  })
})

describe('a range of an object', () => {
  it('is not mistaken for the whole object where a proxy ignores Range', async () => {
    const store = await openAnswering((_request, response) => response.end('0123456789'))

    await expect(readAll(store, 'a', { start: 5, end: 7 })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect((await readAll(store, 'a')).toString()).toBe('0123456789')
  })
})

describe('an object without a Content-Length', () => {
  // A proxy that compresses answers HEAD without a length.
  it('is not mistaken for another one', async () => {
    const completed = '<CompleteMultipartUploadResult><ETag>"e-1"</ETag></CompleteMultipartUploadResult>'
    const store = await openAnswering((request, response) => {
      if (request.method === 'HEAD') response.writeHead(200, { etag: '"e-1"', 'transfer-encoding': 'chunked' }).end()
      else response.end(completed)
    })

    const completing = store.completeMultipart('a', 'id', [{ number: 1, size: 10, etag: 'e', crc32: null }])

    await expect(completing).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })
})

describe('a truncated list without a marker', () => {
  it('is an error instead of an endless loop', async () => {
    const page = '<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>'
    const store = await openAnswering((_request, response) => response.end(page))

    await expect(store.abortMultipart('a', null)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })
})

describe('a bucket that stalls in the middle of an object', () => {
  it.each([
    ['before the first byte', { hang: true }],
    ['after some', { cutReply: { afterBytes: 500, hangs: true } }],
    ['after some, by closing the connection', { cutReply: { afterBytes: 500 } }],
  ])('is given up on: %s', async (_, fault) => {
    const { server, store } = await openStandIn()
    await store.put('a', inChunks(randomBytes(1000)), metadata)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const { hit } = server.faults.next('GetObject', fault)

    const read = readAll(store, 'a').catch((error: unknown) => error)
    await hit
    const passing = setInterval(() => void vi.advanceTimersByTimeAsync(10_000), 50)
    onTestFinished(() => clearInterval(passing))

    expect(await read).toMatchObject({ code: 'STORE_UNAVAILABLE', facts: { operation: 'GetObject' } })
  })
})

describe('a finished object', () => {
  it('has a URL for browsers when S3_PUBLIC_URL is set', async () => {
    const { server } = await openStandIn()
    const store = s3Store({ ...optionsFor(server, 'uploads/'), S3_PUBLIC_URL: 'https://cdn.example/' })
    const withoutUrl = s3Store(optionsFor(server))

    expect(store.publicUrl?.('a b/ö+.png')).toBe('https://cdn.example/uploads/a%20b/%C3%B6%2B.png')
    expect(withoutUrl.publicUrl?.('a')).toBeNull()
    await store.close()
    await withoutUrl.close()
  })
})

describe('the URL of a bucket', () => {
  it.each([
    ['https://s3.example', 'uploads', 'https://uploads.s3.example/'],
    ['https://s3.example', 'up.loads', 'https://s3.example/up.loads'],
    ['http://s3.example', 'up.loads', 'http://up.loads.s3.example/'],
    ['https://s3.example', 'Up_loads', 'https://s3.example/Up_loads'],
    ['http://127.0.0.1:9000', 'uploads', 'http://127.0.0.1:9000/uploads'],
    ['http://[::1]:9000', 'uploads', 'http://[::1]:9000/uploads'],
  ])('at %s has %s as host name only where that is possible', (endpoint, bucket, address) => {
    const options = s3Options.parse({ S3_ENDPOINT: endpoint, S3_BUCKET: bucket, S3_FORCE_PATH_STYLE: 'false' })

    expect(addressOf(options).href).toBe(address)
  })

  it('is the same for requests with bytes and all others', async () => {
    const { server } = await openStandIn()
    const store = s3Store({ ...optionsFor(server), S3_FORCE_PATH_STYLE: false })
    onTestFinished(() => store.close())

    const info = await store.put('a', inChunks(randomBytes(10)), metadata)

    expect(info).toMatchObject((await store.stat('a'))!)
  })
})

describe('a prefix', () => {
  it('leaves enough bytes for the longest key, or is refused', async () => {
    const { server } = await openStandIn()
    const prefixOf = (bytes: number) => `${'p'.repeat(bytes - 1)}/`
    const store = s3Store(optionsFor(server, prefixOf(256)))
    onTestFinished(() => store.close())
    const longest = makeNamedKey(`${'x'.repeat(255)}/`.repeat(9), randomUUID(), 'unique')

    await store.put(longest, inChunks(Buffer.from('a')), metadata)

    expect(() => optionsFor(server, prefixOf(257))).toThrow('at most 256 bytes')
  })
})

describe('opening a bucket', () => {
  it.each([
    ['that does not exist', { S3_BUCKET: 'nowhere' }, /does not exist/],
    ['with a wrong key', { S3_ACCESS_KEY_ID: 'wrong' }, /refuses these credentials/],
    ['with a wrong secret', { S3_SECRET_ACCESS_KEY: 'wrong' }, /refuses these credentials/],
    ['on a server that is not there', { S3_ENDPOINT: 'http://127.0.0.1:1' }, /cannot be reached/],
  ])('%s fails with the reason', async (_, difference, message) => {
    const { server } = await openStandIn()
    const store = s3Store({ ...optionsFor(server), ...difference })

    await expect(store.check()).rejects.toThrow(message)
    await store.close()
  })
})

describe('a key that may not list the bucket', () => {
  async function openUnlisted() {
    const server = await startS3StandIn({ unlisted: true })
    const store = s3Store(optionsFor(server, 'uploads/'))
    onTestFinished(async () => {
      await store.close()
      await server.close()
    })
    return { server, store }
  }
  const forbid = (server: S3StandIn, operation: string, key?: RegExp) =>
    server.faults.next(operation, {
      status: 403,
      code: 'AccessDenied',
      times: Number.POSITIVE_INFINITY,
      ...(key && { key }),
    })

  it('uploads, recognizes missing objects, and leads to a notice for the operator', async () => {
    const { store } = await openUnlisted()

    await store.check()
    await store.put('a', inChunks(Buffer.from('x')), metadata)

    expect(await store.stat('a')).toMatchObject({ size: 1 })
    expect(await store.stat('nothing')).toBeNull()
    await expect(readAll(store, 'nothing')).rejects.toBeInstanceOf(NoSuchKey)
    expect(await store.notices!()).toEqual([expect.stringMatching(/s3:ListBucket.*docs\/buckets\.md/)])
  })

  it.each(['GetObject', 'HeadObject', 'PutObject'])(
    'and not use %s mistakes no object for a missing one',
    async (operation) => {
      const { server, store } = await openUnlisted()
      await store.check()
      await store.put('a', inChunks(Buffer.from('x')), metadata)
      forbid(server, operation)

      if (operation !== 'GetObject') {
        const denied =
          operation === 'HeadObject' ? store.stat('a') : store.put('a', inChunks(Buffer.from('x')), metadata)
        await expect(denied).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
      }
      if (operation !== 'HeadObject')
        await expect(readAll(store, 'nothing')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    },
  )

  it.each([
    ['PutObject', /PutObject needs s3:PutObject/],
    ['GetObject', /GetObject needs s3:GetObject/],
    ['HeadObject', /HeadObject needs s3:GetObject/],
  ])('and not use %s fails its check with the missing right', async (operation, message) => {
    const { server, store } = await openUnlisted()
    forbid(server, operation)

    await expect(store.check()).rejects.toThrow(message)
  })
})
