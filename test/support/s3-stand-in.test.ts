import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3'
import aws4 from 'aws4'
import { afterEach, describe, expect, it } from 'vitest'
import { putChunked, raw, send } from './s3/by-hand.ts'
import { type S3StandIn, type StandInOptions, startS3StandIn } from './s3-stand-in.ts'

const mib = 1024 * 1024
const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function start(options: StandInOptions = {}): Promise<{ s3: S3StandIn; client: S3Client; Bucket: string }> {
  const s3 = await startS3StandIn(options)
  closers.push(() => s3.close())
  return { s3, client: clientOf(s3), Bucket: s3.bucket }
}

function clientOf(s3: S3StandIn, secret = s3.secretAccessKey): S3Client {
  const client = new S3Client({
    endpoint: s3.endpoint,
    region: s3.region,
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: secret },
  })
  closers.push(() => client.destroy())
  return client
}

/** Uploads parts of these sizes and completes them; `alter` may change the list of parts in the completion. */
async function multipart(
  { client, Bucket }: Awaited<ReturnType<typeof start>>,
  Key: string,
  sizes: number[],
  alter: (parts: { PartNumber: number; ETag: string }[]) => { PartNumber: number; ETag: string }[] = (parts) => parts,
): Promise<{ bytes: Buffer; etag: string | undefined }> {
  const bodies = sizes.map((size) => randomBytes(size))
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }))
  const parts: { PartNumber: number; ETag: string }[] = []
  for (const [index, Body] of bodies.entries()) {
    const { ETag = '' } = await client.send(
      new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: index + 1, Body }),
    )
    parts.push({ PartNumber: index + 1, ETag })
  }
  const done = await client.send(
    new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts: alter(parts) } }),
  )
  return { bytes: Buffer.concat(bodies), etag: done.ETag }
}

describe('signatures', () => {
  it('are refused with a wrong secret and when there is none', async () => {
    const { s3, Bucket } = await start()

    const wrong = clientOf(s3, 'wrong').send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }))
    const unsigned = await send(s3, 'PUT', `/${Bucket}/a`, { 'content-length': '1' }, 'x')

    await expect(wrong).rejects.toMatchObject({ name: 'SignatureDoesNotMatch' })
    expect(unsigned).toMatchObject({ status: 403, body: expect.stringContaining('AccessDenied') })
    expect(s3.objects()).toEqual([])
  })

  it('are refused when the body is not the signed one', async () => {
    const { s3 } = await start()
    const hash = createHash('sha256').update('hello').digest('hex')

    const reply = await raw(s3, 'PUT', 'a', { 'x-amz-content-sha256': hash }, 'hullo')

    expect(reply).toMatchObject({ status: 400, body: expect.stringContaining('XAmzContentSHA256Mismatch') })
    expect(s3.objects()).toEqual([])
  })

  it('are refused when they do not cover an x-amz header', async () => {
    const { s3 } = await start()
    const { host } = new URL(s3.endpoint)
    const signed = aws4.sign(
      { service: 's3', region: s3.region, host, method: 'PUT', path: `/${s3.bucket}/a`, body: 'x' },
      { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
    )

    const reply = await send(
      s3,
      'PUT',
      `/${s3.bucket}/a`,
      { ...signed.headers, 'x-amz-meta-late': '1' } as Record<string, string>,
      'x',
    )

    expect(reply).toMatchObject({ status: 403, body: expect.stringContaining('HeadersNotSigned') })
  })

  it('are accepted in a presigned URL until it expires, for its own path only', async () => {
    const { s3, client, Bucket } = await start()
    await client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'hello' }))
    const { host } = new URL(s3.endpoint)
    const presign = (seconds: number): string =>
      s3.endpoint +
      aws4.sign(
        { service: 's3', region: s3.region, host, path: `/${Bucket}/a?X-Amz-Expires=${seconds}`, signQuery: true },
        { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
      ).path

    expect(await (await fetch(presign(60))).text()).toBe('hello')
    expect((await fetch(presign(60).replace('/a?', '/b?'))).status).toBe(403)
    expect((await fetch(presign(0))).status).toBe(400)
  })
})

const crc = 'x-amz-checksum-crc32:NhCmhg==' // of hello

describe('bodies', () => {
  it.each([
    ['signed chunks', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', ''],
    ['signed chunks and a signed trailer', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', crc],
    ['an unsigned trailer', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', crc],
  ])('are stored without the framing of %s', async (_, payload, trailer) => {
    const { s3 } = await start()

    const reply = await putChunked(s3, payload, ['he', 'llo'], trailer)

    expect(reply.status).toBe(200)
    expect((await s3.bytesOf('a'))?.toString()).toBe('hello')
  })

  it('are refused with a wrong signature of a chunk or a wrong trailer', async () => {
    const { s3 } = await start()

    const chunk = await putChunked(s3, 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', ['he', 'llo'], '', 'hexlo')
    const trailer = await putChunked(
      s3,
      'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      ['hello'],
      'x-amz-checksum-crc32:AAAAAA==',
    )

    const late = await putChunked(
      s3,
      'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
      ['hello'],
      crc,
      'hello',
      'no signature',
    )

    expect(chunk).toMatchObject({ status: 403, body: expect.stringContaining('SignatureDoesNotMatch') })
    expect(late).toMatchObject({ status: 403, body: expect.stringContaining('SignatureDoesNotMatch') })
    expect(trailer).toMatchObject({ status: 400, body: expect.stringContaining('BadDigest') })
    expect(s3.objects()).toEqual([])
  })

  it.each([
    ['Content-MD5', { 'content-md5': 'AAAAAAAAAAAAAAAAAAAAAA==' }, 'BadDigest'],
    ['CRC32', { 'x-amz-checksum-crc32': 'AAAAAA==' }, 'BadDigest'],
    ['CRC32C', { 'x-amz-checksum-crc32c': 'AAAAAA==' }, 'BadDigest'],
    ['CRC64NVME', { 'x-amz-checksum-crc64nvme': 'AAAAAAAAAAA=' }, 'BadDigest'],
    ['form of a checksum', { 'x-amz-checksum-crc32': 'no' }, 'InvalidRequest'],
  ] as [string, Record<string, string>, string][])('are refused with a wrong %s', async (_, headers, code) => {
    const { s3 } = await start()

    const reply = await raw(s3, 'PUT', 'a', headers, 'hello')

    expect(reply).toMatchObject({ status: 400, body: expect.stringContaining(`<Code>${code}</Code>`) })
  })

  it.each([
    ['crc32', 'y/Q5Jg=='],
    ['crc32c', '4waSgw=='],
    ['crc64nvme', 'rosUhgp5mIg='],
  ])('have a checksum %s as its standard defines', async (name, value) => {
    const { s3 } = await start()

    expect(await raw(s3, 'PUT', 'a', { [`x-amz-checksum-${name}`]: value }, '123456789')).toMatchObject({ status: 200 })
  })

  it('are stored when the SDK streams them', async () => {
    const { s3, client, Bucket } = await start()
    const bytes = randomBytes(300_000)

    await client.send(
      new PutObjectCommand({ Bucket, Key: 'a', Body: Readable.from([bytes]), ContentLength: bytes.length }),
    )

    expect(await s3.bytesOf('a')).toEqual(bytes)
  })
})

describe('multipart uploads', () => {
  it('become one object with the ETag of S3', async () => {
    const standIn = await start()

    const { bytes, etag } = await multipart(standIn, 'a', [5 * mib, 5 * mib, 1234])

    const md5 = (part: Buffer) => createHash('md5').update(part).digest()
    const sums = Buffer.concat([
      md5(bytes.subarray(0, 5 * mib)),
      md5(bytes.subarray(5 * mib, 10 * mib)),
      md5(bytes.subarray(10 * mib)),
    ])
    expect(etag).toBe(`"${md5(sums).toString('hex')}-3"`)
    expect(await standIn.s3.sha256Of('a')).toBe(createHash('sha256').update(bytes).digest('hex'))
    expect(standIn.s3.multiparts()).toEqual([])
    const range = await standIn.client.send(
      new GetObjectCommand({ Bucket: standIn.Bucket, Key: 'a', Range: `bytes=${5 * mib - 3}-${5 * mib + 2}` }),
    )
    expect(Buffer.from((await range.Body?.transformToByteArray()) ?? [])).toEqual(
      bytes.subarray(5 * mib - 3, 5 * mib + 3),
    )
  })

  it.each([
    ['small parts before the last', {}, [5 * mib - 1, 1], 'EntityTooSmall'],
    ['unequal parts on R2', { equalParts: true }, [5 * mib, 6 * mib, 1], 'InvalidPart'],
    ['a last part larger than the others on R2', { equalParts: true }, [5 * mib, 5 * mib + 1], 'InvalidPart'],
  ] as [string, StandInOptions, number[], string][])(
    'stay open when the completion is refused for %s',
    async (_, options, sizes, code) => {
      const standIn = await start(options)

      // Without the bytes, which a failing assertion would print.
      const completed = multipart(standIn, 'a', sizes).then(({ etag }) => etag)
      await expect(completed).rejects.toMatchObject({ name: code })

      expect(standIn.s3.objects()).toEqual([])
      expect(standIn.s3.multiparts()).toHaveLength(1)
    },
  )

  it('may have unequal parts on S3', async () => {
    const standIn = await start()

    await multipart(standIn, 'a', [5 * mib, 6 * mib, 7 * mib])

    expect(standIn.s3.objects()).toMatchObject([{ key: 'a', partSizes: [5 * mib, 6 * mib, 7 * mib] }])
  })

  it.each([
    ['a wrong ETag', (parts) => parts.map((part) => ({ ...part, ETag: '"0"' })), 'InvalidPart'],
    ['a part that was not uploaded', (parts) => [...parts, { PartNumber: 9, ETag: '"0"' }], 'InvalidPart'],
    ['parts out of order', (parts) => parts.toReversed(), 'InvalidPartOrder'],
    ['no parts', () => [], 'MalformedXML'],
  ] as [string, Parameters<typeof multipart>[3], string][])('are not completed with %s', async (_, alter, name) => {
    const standIn = await start({ limits: { minPartSize: 10 } })

    await expect(multipart(standIn, 'a', [10, 10], alter)).rejects.toMatchObject({ name })
  })

  it('are found by their own key only, and not after they were aborted', async () => {
    const { s3, client, Bucket } = await start()
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'a' }))

    const elsewhere = client.send(new ListPartsCommand({ Bucket, Key: 'b', UploadId }))
    await expect(elsewhere).rejects.toMatchObject({ name: 'NoSuchUpload' })
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key: 'a', UploadId }))

    const late = client.send(new UploadPartCommand({ Bucket, Key: 'a', UploadId, PartNumber: 1, Body: 'x' }))
    await expect(late).rejects.toMatchObject({ name: 'NoSuchUpload' })
    await expect(client.send(new ListPartsCommand({ Bucket, Key: 'a', UploadId }))).rejects.toMatchObject({
      name: 'NoSuchUpload',
    })
    expect(s3.multiparts()).toEqual([])
  })

  it('take copies of a range of an object of 5 MiB or more, not of a smaller one', async () => {
    const standIn = await start()
    const { client, Bucket, s3 } = standIn
    const { bytes } = await multipart(standIn, 'source', [5 * mib, 10])
    await client.send(new PutObjectCommand({ Bucket, Key: 'small', Body: 'hello' }))
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'a' }))
    const copy = (PartNumber: number, key: string, CopySourceRange?: string) =>
      client.send(
        new UploadPartCopyCommand({
          Bucket,
          Key: 'a',
          UploadId,
          PartNumber,
          CopySource: `${Bucket}/${key}`,
          CopySourceRange,
        }),
      )

    const first = await copy(1, 'source', `bytes=5-${5 * mib + 4}`)
    const second = await copy(2, 'small')
    await expect(copy(3, 'small', 'bytes=0-1')).rejects.toMatchObject({ name: 'InvalidRequest' })
    const Parts = [first, second].map(({ CopyPartResult }, index) => ({
      PartNumber: index + 1,
      ETag: CopyPartResult?.ETag,
    }))
    await client.send(new CompleteMultipartUploadCommand({ Bucket, Key: 'a', UploadId, MultipartUpload: { Parts } }))

    const wanted = Buffer.concat([bytes.subarray(5, 5 * mib + 5), Buffer.from('hello')])
    expect((await s3.bytesOf('a'))?.equals(wanted)).toBe(true)
  })

  it('and objects never replace an object with If-None-Match', async () => {
    const { client, Bucket } = await start()
    await client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }))
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'a' }))
    const { ETag } = await client.send(new UploadPartCommand({ Bucket, Key: 'a', UploadId, PartNumber: 1, Body: 'y' }))

    const put = new PutObjectCommand({ Bucket, Key: 'a', Body: 'z', IfNoneMatch: '*' })
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] }
    const complete = new CompleteMultipartUploadCommand({
      Bucket,
      Key: 'a',
      UploadId,
      IfNoneMatch: '*',
      MultipartUpload,
    })

    await expect(client.send(put)).rejects.toMatchObject({ name: 'PreconditionFailed' })
    await expect(client.send(complete)).rejects.toMatchObject({ name: 'PreconditionFailed' })
  })
})

describe('listings', () => {
  it('have pages of parts, uploads and objects', async () => {
    const { client, Bucket } = await start({ limits: { minPartSize: 1 } })
    const ids: (string | undefined)[] = []
    for (const Key of ['p/a', 'p/b', 'p/b', 'q']) {
      ids.push((await client.send(new CreateMultipartUploadCommand({ Bucket, Key }))).UploadId)
      await client.send(new PutObjectCommand({ Bucket, Key: `${Key}${ids.length}`, Body: 'x' }))
    }
    for (const PartNumber of [3, 1, 2])
      await client.send(new UploadPartCommand({ Bucket, Key: 'q', UploadId: ids[3], PartNumber, Body: 'x' }))

    const parts = await client.send(new ListPartsCommand({ Bucket, Key: 'q', UploadId: ids[3], MaxParts: 2 }))
    const restOfParts = await client.send(
      new ListPartsCommand({ Bucket, Key: 'q', UploadId: ids[3], PartNumberMarker: parts.NextPartNumberMarker }),
    )
    const uploads = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: 'p/', MaxUploads: 2 }))
    const restOfUploads = await client.send(
      new ListMultipartUploadsCommand({
        Bucket,
        Prefix: 'p/',
        KeyMarker: uploads.NextKeyMarker,
        UploadIdMarker: uploads.NextUploadIdMarker,
      }),
    )
    const objects = await client.send(new ListObjectsV2Command({ Bucket, Prefix: 'p/', MaxKeys: 2 }))
    const restOfObjects = await client.send(
      new ListObjectsV2Command({ Bucket, Prefix: 'p/', ContinuationToken: objects.NextContinuationToken }),
    )

    expect([parts, restOfParts].map((page) => page.Parts?.map((part) => part.PartNumber))).toEqual([[1, 2], [3]])
    expect([uploads, restOfUploads].map((page) => page.Uploads?.length)).toEqual([2, 1])
    expect([objects, restOfObjects].map((page) => page.Contents?.map((each) => each.Key))).toEqual([
      ['p/a1', 'p/b2'],
      ['p/b3'],
    ])
    expect([parts, uploads, objects].every((page) => page.IsTruncated)).toBe(true)
    expect([restOfParts, restOfUploads, restOfObjects].some((page) => page.IsTruncated)).toBe(false)
  })
})

describe('faults', () => {
  it('fail one request of the operation and key they were armed for', async () => {
    const { s3, client, Bucket } = await start()
    const put = (Key: string) => client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }))
    const fault = s3.faults.next('PutObject', { key: 'a', status: 503 })

    await put('b')
    await expect(put('a')).rejects.toMatchObject({ name: 'SlowDown' })
    await put('a')

    expect(fault.hits).toBe(1)
    expect(s3.requests).toEqual({ PutObject: 3 })
    expect(s3.seen.map((each) => each.status)).toEqual([200, 503, 200])
  })

  it('perform a request and close the connection', async () => {
    const { s3, client, Bucket } = await start()
    s3.faults.next('PutObject', { dropReply: true })

    await expect(client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }))).rejects.toThrow()

    expect(s3.objects()).toMatchObject([{ key: 'a', size: 1 }])
  })

  it('close the connection in the middle of a body, of which nothing is kept', async () => {
    const { s3, client, Bucket } = await start()
    s3.faults.next('PutObject', { dropConnection: { afterBytes: 100_000 } })

    await expect(client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: randomBytes(mib) }))).rejects.toThrow()

    expect(s3.objects()).toEqual([])
  })

  it('close the connection in the middle of a response', async () => {
    const { s3, client, Bucket } = await start()
    await client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: Buffer.alloc(500_000) }))
    s3.faults.next('GetObject', { cutReply: { afterBytes: 200_000 } })

    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: 'a' }))
    let read = 0
    const reading = (async () => {
      for await (const chunk of Body as Readable) read += chunk.length
    })()

    await expect(reading).rejects.toThrow('aborted')
    expect(read).toBe(200_000)
  })

  it('answer a completion with 200 and an error, and leave the upload open', async () => {
    const standIn = await start()
    standIn.s3.faults.next('CompleteMultipartUpload', { errorBodyWith200: true })

    await expect(multipart(standIn, 'a', [10])).rejects.toMatchObject({ name: 'InternalError' })

    expect(standIn.s3.objects()).toEqual([])
    expect(standIn.s3.multiparts()).toHaveLength(1)
  })

  it('complete an object and still answer with an error', async () => {
    const standIn = await start()
    standIn.s3.faults.next('CompleteMultipartUpload', { status: 500, perform: true })

    await expect(multipart(standIn, 'a', [10])).rejects.toMatchObject({ name: 'InternalError' })

    expect(standIn.s3.objects()).toMatchObject([{ key: 'a', size: 10 }])
  })

  it('abort the multipart upload when its completion arrives', async () => {
    const standIn = await start()
    standIn.s3.faults.next('CompleteMultipartUpload', { abortMultipart: true })

    await expect(multipart(standIn, 'a', [10])).rejects.toMatchObject({ name: 'NoSuchUpload' })
  })

  it('hang a request until the stand-in closes, and report the hit', async () => {
    const { s3, client, Bucket } = await start()
    const fault = s3.faults.next('HeadObject', { hang: true })

    const head = client.send(new HeadObjectCommand({ Bucket, Key: 'a' }))
    const end = expect(head).rejects.toThrow()
    await fault.hit
    await s3.close()

    await end
  })
})

describe('stored bytes', () => {
  it('are files in a directory, without those that were replaced or aborted', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'stand-in-'))
    closers.push(() => rm(directory, { recursive: true }))
    const standIn = await start({ keep: { directory } })
    const { client, Bucket, s3 } = standIn

    const { bytes } = await multipart(standIn, 'a', [5 * mib, 7])
    expect((await s3.bytesOf('a'))?.equals(bytes)).toBe(true)
    await client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }))
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'b' }))
    await client.send(new UploadPartCommand({ Bucket, Key: 'b', UploadId, PartNumber: 1, Body: 'x' }))
    await s3.abortMultiparts()

    expect(await readdir(directory)).toHaveLength(1)
  })

  it('of parts can be discarded, with their hashes kept', async () => {
    const standIn = await start({ keep: 'hashes' })

    const { bytes } = await multipart(standIn, 'a', [100])

    const sum = createHash('md5').update(createHash('md5').update(bytes).digest()).digest('hex')
    expect(standIn.s3.objects()).toMatchObject([{ size: 100, etag: `"${sum}-1"` }])
    await expect(standIn.s3.bytesOf('a')).rejects.toThrow('keep no bytes')
  })
})
