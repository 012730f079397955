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
import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { makeNamedKey } from '../../src/core/object-key.ts'
import { NoSuchKey, NoSuchUpload } from '../../src/core/ports.ts'
import { addressOf } from '../../src/stores/s3/client.ts'
import { type S3Options, s3Options } from '../../src/stores/s3/options.ts'
import { s3Store } from '../../src/stores/s3/store.ts'
import { type S3StandIn, startS3StandIn } from '../support/s3-stand-in.ts'
import { inChunks, readAll, storeContract } from './contract.ts'

const MiB = 1024 ** 2
const partSize = 5 * MiB
const about = { contentType: 'image/png' }

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

async function openStandIn(etags: 'md5' | 'opaque' = 'md5') {
  const server = await startS3StandIn({ equalParts: true, etags })
  const store = s3Store(optionsFor(server, 'uploads/'))
  onTestFinished(async () => {
    await store.close()
    await server.close()
  })
  return { server, store, openMultiparts: async () => server.multiparts().length }
}

/** A store whose server answers every request, when all of it has come, with `answer`. */
async function openAnswering(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer((request, response) => request.resume().once('end', () => answer(request, response)))
  const store = s3Store(
    optionsFor({ endpoint: await addressOfServer(server), bucket: 'uploads', accessKeyId: 'a', secretAccessKey: 'b' }),
  )
  onTestFinished(() => store.close())
  return store
}

/** Where `server` listens, until the test is over. */
async function addressOfServer(server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A store that reaches the stand-in by a wire on which `pass` hands every request on. */
async function openBehind(
  pass: (request: IncomingMessage, onward: ClientRequest) => void,
  settings: Partial<S3Options> = {},
) {
  const { server } = await openStandIn()
  const { port } = new URL(server.endpoint)
  const wire = createServer((request, response) => {
    const { url: path, method, headers } = request
    const onward = forward({ host: '127.0.0.1', port, path, method, headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(response)
    })
    pass(request, onward)
  })
  const store = s3Store({ ...optionsFor({ ...server, endpoint: await addressOfServer(wire) }), ...settings })
  onTestFinished(() => store.close())
  return { server, store }
}

storeContract('s3', () => openStandIn(), partSize)
storeContract('s3, encrypted with a key of its own', () => openStandIn('opaque'), partSize, { etagsTellBytes: false })

describe('requests', () => {
  it('are counted, each try of those that carry bytes', async () => {
    const server = await startS3StandIn()
    const asked: string[] = []
    const store = s3Store(optionsFor(server), { onRequest: (operation, code) => asked.push(`${operation} ${code}`) })
    onTestFinished(async () => {
      await store.close()
      await server.close()
    })
    server.faults.next('PutObject', { status: 503, code: 'SlowDown' })

    await store.put('a', inChunks(Buffer.from('x')), about)
    await store.stat('a')

    expect(asked).toEqual(['PutObject SlowDown', 'PutObject OK', 'HeadObject OK'])
  })
})

describe('notices for the operator', () => {
  it.each([true, false])('name old versions only where the bucket keeps them (%s)', async (versioned) => {
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

describe('what R2 and others do not know', () => {
  it('is not said: no checksums but where S3 demands them, no framing of bodies', async () => {
    const heard: [string, string, string][] = []
    const { store } = await openBehind((request, onward) => {
      const { method = '', headers } = request
      heard.push([method, Object.keys(headers).join(' '), headers['content-encoding'] ?? ''])
      request.pipe(onward)
    })

    await store.put('a', inChunks(randomBytes(partSize)), about)
    const handle = await store.createMultipart('b', { ...about, partSize })
    const parts = [
      await store.uploadPart('b', handle, 1, inChunks(randomBytes(partSize))),
      await store.copyPart('b', handle, 2, { key: 'a', start: 0, end: partSize }),
    ]
    await store.completeMultipart('b', handle, parts)
    await store.remove(['a'])

    expect(heard).toHaveLength(7)
    for (const [method, names, encoding] of heard)
      expect([method, names, encoding]).toEqual([
        method,
        expect.not.stringMatching(/checksum|trailer|transfer-encoding/),
        '',
      ])
  })
})

describe('bytes that are changed on the way', () => {
  /** Changes the first byte of each of the first two bodies. */
  function spoilTwo() {
    let left = 2
    return (request: IncomingMessage, onward: ClientRequest) => {
      let isFirst = true
      request.on('data', (chunk: Buffer) => {
        if (isFirst && left > 0) {
          left -= 1
          chunk[0]! ^= 1
        }
        isFirst = false
        onward.write(chunk)
      })
      request.on('end', () => onward.end())
    }
  }

  it('are refused and sent again where the store is told what they should be', async () => {
    const { server, store } = await openBehind(spoilTwo(), { S3_CONTENT_MD5: true })
    const whole = randomBytes(partSize)

    await store.put('at-once', inChunks(whole), about)
    const handle = await store.createMultipart('in-parts', { ...about, partSize })
    const part = await store.uploadPart('in-parts', handle, 1, inChunks(whole))
    await store.completeMultipart('in-parts', handle, [part])

    for (const key of ['at-once', 'in-parts']) expect((await readAll(store, key)).equals(whole)).toBe(true)
    expect(server.requests).toMatchObject({ PutObject: 3, UploadPart: 1 })
  })
})

describe('an object that browsers are not to show', () => {
  it('says so, however it was written', async () => {
    const { server, store } = await openStandIn()
    const about = { contentType: 'image/svg+xml', isAttachment: true }

    await store.put('at-once', inChunks(Buffer.from('<svg/>')), about)
    const handle = await store.createMultipart('in-parts', { ...about, partSize })
    const part = await store.uploadPart('in-parts', handle, 1, inChunks(Buffer.from('<svg/>')))
    await store.completeMultipart('in-parts', handle, [part])

    const client = new S3Client({ ...server, forcePathStyle: true, credentials: server })
    for (const key of ['at-once', 'in-parts']) {
      const head = await client.send(new HeadObjectCommand({ Bucket: server.bucket, Key: `uploads/${key}` }))
      expect(head).toMatchObject({ ContentType: 'image/svg+xml', ContentDisposition: 'attachment' })
    }
  })
})

describe.each(['md5', 'opaque'] as const)('a bucket that misbehaves, with ETags that are %s', (etags) => {
  async function twoParts({ store }: Awaited<ReturnType<typeof openStandIn>>) {
    const bytes = randomBytes(partSize + 100)
    const handle = await store.createMultipart('a', { ...about, partSize })
    const parts = [
      await store.uploadPart('a', handle, 1, inChunks(bytes.subarray(0, partSize))),
      await store.uploadPart('a', handle, 2, inChunks(bytes.subarray(partSize))),
    ]
    return { bytes, handle, parts }
  }
  const refused = async (server: S3StandIn) => expect(server.multiparts()).toHaveLength(1)

  it.each([
    ['fails once', { status: 500 }],
    ['answers 200 with an error in the body', { errorBodyWith200: true }],
    ['answers nothing, though it was done', { dropReply: true }],
    ['says that it is slow', { status: 503 }],
  ] as const)('finishes all the same when the join %s', async (_, fault) => {
    const world = await openStandIn(etags)
    const { bytes, handle, parts } = await twoParts(world)
    world.server.faults.next('CompleteMultipartUpload', fault as never)

    let info = await world.store.completeMultipart('a', handle, parts).catch(() => null)
    info ??= await world.store.completeMultipart('a', handle, parts)

    expect(info.size).toBe(bytes.length)
    expect((await readAll(world.store, 'a')).equals(bytes)).toBe(true)
  })

  it('knows that parts are lost when the bucket has aborted the upload', async () => {
    const world = await openStandIn(etags)
    const { handle, parts } = await twoParts(world)
    await refused(world.server)
    await world.server.abortMultiparts()

    await expect(world.store.completeMultipart('a', handle, parts)).rejects.toBeInstanceOf(NoSuchUpload)
    await expect(world.store.uploadPart('a', handle, 3, inChunks(randomBytes(10)))).rejects.toBeInstanceOf(NoSuchUpload)
  })

  it('knows that parts are lost when one is not what was recorded', async () => {
    const world = await openStandIn(etags)
    const { handle, parts } = await twoParts(world)
    await world.store.uploadPart('a', handle, 1, inChunks(randomBytes(partSize)))

    await expect(world.store.completeMultipart('a', handle, parts)).rejects.toBeInstanceOf(NoSuchUpload)
  })

  it('is not believed when it has another object than the one that was sent', async () => {
    const world = await openStandIn(etags)
    const { handle, parts } = await twoParts(world)
    await world.server.abortMultiparts()
    await world.store.put('a', inChunks(randomBytes(partSize + 101)), about)

    await expect(world.store.completeMultipart('a', handle, parts)).rejects.toBeInstanceOf(NoSuchUpload)
  })

  it.each([
    ['breaks the connection', { dropConnection: true }],
    ['loses the answer', { dropReply: true }],
    ['is busy', { status: 503 }],
  ] as const)('gets a part that it lost when it %s', async (_, fault) => {
    const world = await openStandIn(etags)
    const bytes = randomBytes(partSize)
    const handle = await world.store.createMultipart('a', { ...about, partSize })
    world.server.faults.next('UploadPart', { ...fault, times: 2 } as never)

    const part = await world.store.uploadPart('a', handle, 1, inChunks(bytes))
    await world.store.completeMultipart('a', handle, [part])

    expect((await readAll(world.store, 'a')).equals(bytes)).toBe(true)
  })

  it('does not make a retry of its own write look like somebody else', async () => {
    const world = await openStandIn(etags)
    world.server.faults.next('PutObject', { dropReply: true } as never)
    const bytes = randomBytes(1000)

    const info = await world.store.put('a', inChunks(bytes), { ...about, isNew: true })

    expect(info.size).toBe(1000)
  })

  it('says 503 and no secrets when it stays away', { timeout: 60_000 }, async () => {
    const world = await openStandIn(etags)
    world.server.faults.next('PutObject', { status: 500, times: 50 } as never)

    const error = await world.store
      .put('secret/key', inChunks(randomBytes(10)), about)
      .catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', facts: { operation: 'PutObject', storeStatus: 500 } })
    expect(String(error)).not.toContain('secret')
  })
})

describe('removing', () => {
  // As Google's does; and a second try finds nothing where the answer to the first was lost.
  it('is done when a store says that there is no such object', async () => {
    const { server, store } = await openStandIn()
    server.faults.next('DeleteObject', { status: 404, code: 'NoSuchKey' })

    await expect(store.remove(['a'])).resolves.toBeUndefined()
  })

  it('is done one by one where a store does not take many at once', async () => {
    const { server, store } = await openStandIn()
    for (const key of ['a', 'b']) await store.put(key, inChunks(randomBytes(10)), about)
    server.faults.next('DeleteObjects', { status: 400, code: 'MissingContentMD5', times: Infinity })

    await store.remove(['a', 'b', 'c'])

    expect(server.objects()).toEqual([])
  })
})

describe('a range of an object', () => {
  it('is not the whole object, where something on the way takes no notice of ranges', async () => {
    const store = await openAnswering((_request, response) => response.end('0123456789'))

    await expect(readAll(store, 'a', { start: 5, end: 7 })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect((await readAll(store, 'a')).toString()).toBe('0123456789')
  })
})

describe('an object of which nobody says how long it is', () => {
  // As behind a proxy that compresses: to HEAD it can tell no length.
  it('is not taken for another one', async () => {
    const joined = '<CompleteMultipartUploadResult><ETag>"e-1"</ETag></CompleteMultipartUploadResult>'
    const store = await openAnswering((request, response) => {
      if (request.method === 'HEAD') response.writeHead(200, { etag: '"e-1"', 'transfer-encoding': 'chunked' }).end()
      else response.end(joined)
    })

    const finished = store.completeMultipart('a', 'handle', [{ number: 1, size: 10, etag: 'e' }])

    await expect(finished).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })
})

describe('a list that says there is more, and not where', () => {
  it('is a fault, and is not asked for for ever', async () => {
    const page = '<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>'
    const store = await openAnswering((_request, response) => response.end(page))

    await expect(store.abortMultipart('a', null)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })
})

describe('a bucket that stops in the middle of an object', () => {
  it.each([
    ['before the first byte', { hang: true }],
    ['after some', { cutReply: { afterBytes: 500, hangs: true } }],
    ['after some, by breaking the connection', { cutReply: { afterBytes: 500 } }],
  ])('is not waited for for ever: %s', async (_, fault) => {
    const { server, store } = await openStandIn()
    await store.put('a', inChunks(randomBytes(1000)), about)
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
  it('has an address for browsers when the operator says where the bucket is', async () => {
    const { server } = await openStandIn()
    const store = s3Store({ ...optionsFor(server, 'uploads/'), S3_PUBLIC_URL: 'https://cdn.example/' })
    const silent = s3Store(optionsFor(server))

    expect(store.publicUrl?.('a b/ö+.png')).toBe('https://cdn.example/uploads/a%20b/%C3%B6%2B.png')
    expect(silent.publicUrl?.('a')).toBeNull()
    await store.close()
    await silent.close()
  })
})

describe('where a bucket is', () => {
  it.each([
    ['https://s3.example', 'uploads', 'https://uploads.s3.example/'],
    ['https://s3.example', 'up.loads', 'https://s3.example/up.loads'],
    ['http://s3.example', 'up.loads', 'http://up.loads.s3.example/'],
    ['https://s3.example', 'Up_loads', 'https://s3.example/Up_loads'],
    ['http://127.0.0.1:9000', 'uploads', 'http://127.0.0.1:9000/uploads'],
    ['http://[::1]:9000', 'uploads', 'http://[::1]:9000/uploads'],
  ])('at %s, %s stands in the host name only where it can', (endpoint, bucket, address) => {
    const options = s3Options.parse({ S3_ENDPOINT: endpoint, S3_BUCKET: bucket, S3_FORCE_PATH_STYLE: 'false' })

    expect(addressOf(options).href).toBe(address)
  })

  it('is the same for the bytes and for everything else', async () => {
    const { server } = await openStandIn()
    const store = s3Store({ ...optionsFor(server), S3_FORCE_PATH_STYLE: false })
    onTestFinished(() => store.close())

    const info = await store.put('a', inChunks(randomBytes(10)), about)

    expect(await store.stat('a')).toEqual(info)
  })
})

describe('a prefix', () => {
  it('leaves room for the longest key, or is refused', async () => {
    const { server } = await openStandIn()
    const prefixOf = (bytes: number) => `${'p'.repeat(bytes - 1)}/`
    const store = s3Store(optionsFor(server, prefixOf(256)))
    onTestFinished(() => store.close())
    const longest = makeNamedKey(`${'x'.repeat(255)}/`.repeat(9), randomUUID(), 'unique')

    await store.put(longest, inChunks(Buffer.from('a')), about)

    expect(() => optionsFor(server, prefixOf(257))).toThrow('at most 256 bytes')
  })
})

describe('opening a bucket', () => {
  it.each([
    ['that does not exist', { S3_BUCKET: 'nowhere' }, /does not exist/],
    ['with a wrong key', { S3_ACCESS_KEY_ID: 'wrong' }, /refuses these credentials/],
    ['with a wrong secret', { S3_SECRET_ACCESS_KEY: 'wrong' }, /refuses these credentials/],
    ['on a server that is not there', { S3_ENDPOINT: 'http://127.0.0.1:1' }, /cannot be reached/],
  ])('%s says so', async (_, difference, words) => {
    const { server } = await openStandIn()
    const store = s3Store({ ...optionsFor(server), ...difference })

    await expect(store.check()).rejects.toThrow(words)
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

  it('uploads all the same, is told what is missing, and the operator what is not done', async () => {
    const { store } = await openUnlisted()

    await store.check()
    await store.put('a', inChunks(Buffer.from('x')), about)

    expect(await store.stat('a')).toMatchObject({ size: 1 })
    expect(await store.stat('nothing')).toBeNull()
    await expect(readAll(store, 'nothing')).rejects.toBeInstanceOf(NoSuchKey)
    expect(await store.notices!()).toEqual([expect.stringMatching(/s3:ListBucket.*docs\/buckets\.md/)])
  })

  it.each(['GetObject', 'HeadObject', 'PutObject'])('and not use %s takes no object for missing', async (operation) => {
    const { server, store } = await openUnlisted()
    await store.check()
    await store.put('a', inChunks(Buffer.from('x')), about)
    forbid(server, operation)

    if (operation !== 'GetObject') {
      const refused = operation === 'HeadObject' ? store.stat('a') : store.put('a', inChunks(Buffer.from('x')), about)
      await expect(refused).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    }
    if (operation !== 'HeadObject')
      await expect(readAll(store, 'nothing')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })

  it.each([
    ['PutObject', /PutObject needs s3:PutObject/],
    ['GetObject', /GetObject needs s3:GetObject/],
    ['HeadObject', /HeadObject needs s3:GetObject/],
  ])('nor use %s is refused at the start with that right', async (operation, words) => {
    const { server, store } = await openUnlisted()
    forbid(server, operation)

    await expect(store.check()).rejects.toThrow(words)
  })
})
