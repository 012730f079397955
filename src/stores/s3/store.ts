import { createHash } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3'
import { md5Of } from '../../core/parts/etag.ts'
import {
  type Bytes,
  NoSuchKey,
  NoSuchUpload,
  ObjectExists,
  type ObjectInfo,
  type ObjectMetadata,
  type ObjectStore,
  type WrittenObject,
} from '../../core/ports/object-store.ts'
import type { StoredPart } from '../../core/upload.ts'
import type { StoreWatch } from '../kind.ts'
import { createCaller } from './call.ts'
import { checkBucket, toBucketError } from './check.ts'
import { addressOf, longestMs, openClient, readSocketsAtOnce, socketsAtOnce } from './client.ts'
import { S3Error, toUploadError } from './errors.ts'
import { mayBeMadeOf, type ObjectHead, unquoted } from './etags.ts'
import type { S3Options } from './options.ts'
import { presignRead } from './presign.ts'
import { readObject } from './read.ts'
import { removeObjects } from './remove.ts'
import { createSender, escapeKey } from './send.ts'
import { summed } from './summed-bytes.ts'
import { createListAccess, unlistedNotice } from './unlisted.ts'
import { versioningNotices } from './versioning.ts'

const MiB = 1024 ** 2
const answerMs = 30_000
// The name of the origin among the object's metadata.
const originName = 'landfall'
// With these codes the multipart upload can never be completed: the store does not have the recorded parts. Ceph answers NoSuchKey for
// an aborted multipart upload.
const unrecoverable = new Set(['InvalidPart', 'InvalidPartOrder', 'EntityTooSmall', 'NoSuchUpload', 'NoSuchKey'])

/** A store in a bucket of S3, R2, MinIO, Ceph, Spaces or any other S3-compatible server. */
export function s3Store(options: S3Options, { onRequest = () => {} }: StoreWatch = {}): ObjectStore {
  const bucket = options.S3_BUCKET ?? ''
  const client = openClient(options)
  const reader = openClient(options, undefined, readSocketsAtOnce)
  const sender = createSender({
    base: addressOf(options),
    region: options.S3_REGION,
    credentials: () => client.config.credentials(),
    sockets: socketsAtOnce,
    onRequest,
  })

  const named = (key: string) => ({ Bucket: bucket, Key: options.S3_PREFIX + key })
  let supportsIfNoneMatch = true

  const callS3 = createCaller(answerMs, onRequest)

  /** As `callS3`, with errors converted by `toUploadError`. */
  function call<T>(operation: string, work: (signal: AbortSignal) => Promise<T>, ms?: number): Promise<T> {
    return callS3(operation, work, ms).catch((error: S3Error) => Promise.reject(toUploadError(error)))
  }

  /** @throws S3Error */
  async function headS3(key: string): Promise<ObjectHead> {
    const head = await callS3('HeadObject', (abortSignal) =>
      client.send(new HeadObjectCommand(named(key)), { abortSignal }),
    )
    const isOpaque = head.ServerSideEncryption?.startsWith('aws:kms') || head.SSECustomerAlgorithm !== undefined
    // An empty object has the length 0; without a length the size of the object is unknown.
    if (head.ContentLength === undefined) throw new S3Error('HeadObject', 200, 'NoContentLength')
    const origin = head.Metadata?.[originName] ?? null
    return { size: head.ContentLength, etag: unquoted(head.ETag), isOpaque, origin }
  }

  async function headObject(key: string): Promise<ObjectHead | null> {
    try {
      return await headS3(key)
    } catch (error) {
      if ((error as S3Error).status === 404 || (await access.isMissing(error))) return null
      throw toUploadError(error as S3Error)
    }
  }

  async function completeMultipart(key: string, multipartId: string, parts: StoredPart[]): Promise<ObjectInfo> {
    const size = parts.reduce((sum, part) => sum + part.size, 0)
    const Parts = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: `"${etag}"` }))
    const complete = new CompleteMultipartUploadCommand({
      ...named(key),
      UploadId: multipartId,
      MultipartUpload: { Parts },
    })
    let answeredEtag: string | undefined
    const error = await callS3(
      'CompleteMultipartUpload',
      (abortSignal) => client.send(complete, { abortSignal }),
      longestMs,
    ).then(
      ({ ETag }) => {
        answeredEtag = unquoted(ETag)
        return null
      },
      (thrown: S3Error) => thrown,
    )
    // The object decides, not the answer: a completion that was answered with success may have failed, and the reverse.
    const findCompleted = async () => {
      const head = await headObject(key)
      return head?.size === size && (head.etag === answeredEtag || mayBeMadeOf(parts, head)) ? infoOf(head) : null
    }
    const info = await findCompleted()
    if (info) return info
    // Ceph 16 answers 500 "already in progress" also when the multipart upload is gone; the list of open ones shows which it is. A
    // completion that ended between HEAD and the list is not in the list either, so the object is looked up once more.
    if (error?.code === 'InternalError' && !(await isOpen(key, multipartId))) {
      const late = await findCompleted()
      if (late) return late
      throw new NoSuchUpload('no such multipart upload', { cause: error })
    }
    if (error === null || unrecoverable.has(error.code)) {
      throw new NoSuchUpload('the store does not have the recorded parts', { cause: error ?? undefined })
    }
    throw toUploadError(error)
  }

  async function isOpen(key: string, multipartId: string): Promise<boolean> {
    for await (const openId of openUploads(key)) if (openId === multipartId) return true
    return false
  }

  /** The bytes as they are sent, and their CRC-32 once they are. */
  function summedIfWanted(bytes: Bytes): { sent: Bytes; crc32: () => number | null } {
    if (!options.S3_CRC32) return { sent: bytes, crc32: () => null }
    const sent = summed(bytes)
    return { sent, crc32: sent.crc32 }
  }

  async function put(
    key: string,
    bytes: Bytes,
    metadata: ObjectMetadata & { isNew?: boolean },
  ): Promise<WrittenObject> {
    const isGuarded = metadata.isNew === true && supportsIfNoneMatch
    const headers = {
      'Content-Type': metadata.contentType,
      ...(metadata.isAttachment && { 'Content-Disposition': 'attachment' }),
      ...(metadata.origin && { [`x-amz-meta-${originName}`]: metadata.origin }),
      ...(isGuarded && { 'If-None-Match': '*' }),
      ...(await checksumOf(bytes)),
    }
    const { sent, crc32 } = summedIfWanted(bytes)
    try {
      const { etag } = await sender.put(sent, { operation: 'PutObject', key: options.S3_PREFIX + key, headers })
      return { size: bytes.size, etag, crc32: crc32() }
    } catch (error) {
      if (!(error instanceof S3Error)) throw error
      if (isGuarded && (error.status === 501 || error.code === 'NotImplemented')) {
        supportsIfNoneMatch = false
        return put(key, bytes, metadata)
      }
      if (!isGuarded || error.status !== 412) throw toUploadError(error)
      // The existing object is either our own, of an attempt whose answer was lost, or foreign: its bytes decide.
      const head = await headObject(key)
      // The refused attempt may not have read all bytes; the MD5 sum does, so their CRC-32 is known then.
      if (head?.size === bytes.size && (head.etag === (await md5Of(sent)) || (await hasSameContent(key, bytes))))
        return { ...infoOf(head), crc32: crc32() }
      throw new ObjectExists('there is another object already', { cause: error })
    }
  }

  /** The header by which the store verifies that the bytes arrived unchanged. */
  async function checksumOf(bytes: Bytes): Promise<Record<string, string>> {
    if (!options.S3_CONTENT_MD5) return {}
    return { 'Content-MD5': Buffer.from(await md5Of(bytes), 'hex').toString('base64') }
  }

  /** Compares the bytes of the object, because its ETag is no MD5 sum when it is encrypted with a key of its own. */
  async function hasSameContent(key: string, bytes: Bytes): Promise<boolean> {
    const [stored, ours] = [createHash('sha256'), createHash('sha256')]
    for await (const chunk of read(key)) stored.update(chunk)
    for await (const chunk of bytes.chunks()) ours.update(chunk)
    return stored.digest().equals(ours.digest())
  }

  const readS3 = (key: string, range?: { start: number; end: number }) =>
    readObject(key, range, { client: reader, named, stepMs: answerMs, onRequest })
  const access = createListAccess({ put, head: headS3, read: readS3 })

  async function* read(key: string, range?: { start: number; end: number }): AsyncGenerator<Buffer> {
    try {
      yield* readS3(key, range)
    } catch (error) {
      if (await access.isMissing(error)) throw new NoSuchKey('no such object', { cause: error })
      throw error
    }
  }

  async function check(): Promise<void> {
    if (access.isUnlisted) return
    if (await checkBucket({ client, bucket, prefix: options.S3_PREFIX, call: callS3 })) return
    await access.assertUsable().catch((error: unknown) => {
      const cause = error instanceof S3Error ? error : (error as Error).cause
      throw cause instanceof S3Error ? toBucketError(cause, bucket) : error
    })
    access.isUnlisted = true
  }

  async function* openUploads(key: string): AsyncGenerator<string> {
    const Prefix = options.S3_PREFIX + key
    let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {}
    for (;;) {
      const page = await call('ListMultipartUploads', (abortSignal) =>
        client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix, ...marker }), { abortSignal }),
      )
      for (const upload of page.Uploads ?? []) if (upload.Key === Prefix && upload.UploadId) yield upload.UploadId
      if (!page.IsTruncated) return
      if (!page.NextKeyMarker) throw toUploadError(new S3Error('ListMultipartUploads', 200, 'NoNextKeyMarker'))
      marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
    }
  }

  async function abortOne(key: string, multipartId: string): Promise<void> {
    const abort = new AbortMultipartUploadCommand({ ...named(key), UploadId: multipartId })
    await call('AbortMultipartUpload', (abortSignal) => client.send(abort, { abortSignal })).catch((error: unknown) => {
      if (!(error instanceof NoSuchUpload)) throw error
    })
  }

  return {
    name: 's3',
    limits: {
      minPartSize: 5 * MiB,
      maxPartSize: 5 * 1024 * MiB,
      maxParts: 10_000,
      maxObjectSize: 5 * 1024 * 1024 * MiB,
    },

    check,

    async createMultipart(key, { contentType, isAttachment, origin, onAmbiguousCreate }) {
      const create = new CreateMultipartUploadCommand({
        ...named(key),
        ContentType: contentType,
        ...(isAttachment && { ContentDisposition: 'attachment' }),
        ...(origin && { Metadata: { [originName]: origin } }),
      })
      const { UploadId, $metadata } = await call('CreateMultipartUpload', (abortSignal) =>
        client.send(create, { abortSignal }),
      )
      // An earlier attempt whose answer was lost may have created a multipart upload, too.
      if (($metadata.attempts ?? 1) > 1) onAmbiguousCreate?.()
      return UploadId!
    },

    async uploadPart(key, multipartId, number, bytes) {
      const query = `partNumber=${number}&uploadId=${encodeURIComponent(multipartId)}`
      try {
        const headers = await checksumOf(bytes)
        const { sent, crc32 } = summedIfWanted(bytes)
        const sending = { operation: 'UploadPart', key: options.S3_PREFIX + key, query, headers }
        const { etag } = await sender.put(sent, sending)
        return { number, size: bytes.size, etag, crc32: crc32() }
      } catch (error) {
        if (!(error instanceof S3Error)) throw error
        throw unrecoverable.has(error.code)
          ? new NoSuchUpload('no such multipart upload', { cause: error })
          : toUploadError(error)
      }
    },

    async copyPart(key, multipartId, number, { key: source, start, end }) {
      const copy = new UploadPartCopyCommand({
        ...named(key),
        UploadId: multipartId,
        PartNumber: number,
        CopySource: `${bucket}/${escapeKey(options.S3_PREFIX + source)}`,
        CopySourceRange: `bytes=${start}-${end - 1}`,
      })
      const { CopyPartResult } = await call(
        'UploadPartCopy',
        (abortSignal) => client.send(copy, { abortSignal }),
        longestMs,
      )
      // No byte of it passed this server.
      return { number, size: end - start, etag: unquoted(CopyPartResult?.ETag), crc32: null }
    },

    completeMultipart,

    async abortMultipart(key, multipartId) {
      if (multipartId !== null) return abortOne(key, multipartId)
      for await (const openId of openUploads(key)) await abortOne(key, openId)
    },

    put,
    async stat(key) {
      const head = await headObject(key)
      return head && infoOf(head)
    },

    async originOf(key) {
      return (await headObject(key))?.origin ?? null
    },

    read,

    presignRead: async (key, served) =>
      presignRead(
        { base: addressOf(options), region: options.S3_REGION, credentials: await client.config.credentials() },
        options.S3_PREFIX + key,
        served,
      ),

    remove: (keys) => removeObjects(keys, { client, named, call: callS3 }),

    async *list(prefix) {
      let ContinuationToken: string | undefined
      do {
        const page = await call('ListObjectsV2', (abortSignal) =>
          client.send(
            new ListObjectsV2Command({ Bucket: bucket, Prefix: options.S3_PREFIX + prefix, ContinuationToken }),
            { abortSignal },
          ),
        )
        for (const { Key } of page.Contents ?? []) if (Key) yield Key.slice(options.S3_PREFIX.length)
        ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined
      } while (ContinuationToken)
    },

    async notices() {
      const versioning = await versioningNotices(client, options)
      return access.isUnlisted ? [unlistedNotice(bucket), ...versioning] : versioning
    },

    publicUrl(key) {
      if (options.S3_PUBLIC_URL === undefined) return null
      return `${options.S3_PUBLIC_URL.replace(/\/+$/, '')}/${escapeKey(options.S3_PREFIX + key)}`
    },

    async close() {
      sender.close()
      client.destroy()
      reader.destroy()
    },
  }
}

function infoOf({ size, etag }: ObjectHead): ObjectInfo {
  return { size, etag }
}
