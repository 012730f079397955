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
} from '../../core/ports.ts'
import type { StoredPart } from '../../core/upload.ts'
import { createCaller, type StoreWatch } from './call.ts'
import { checkBucket, toBucketError } from './check.ts'
import { addressOf, longestMs, openClient, socketsAtOnce } from './client.ts'
import { S3Error, toUploadError } from './errors.ts'
import { type Found, mayBeJoinOf, unquoted } from './etags.ts'
import type { S3Options } from './options.ts'
import { readObject } from './read.ts'
import { removeObjects } from './remove.ts'
import { createSender, escapeKey } from './send.ts'
import { createSight, unlistedNotice } from './unlisted.ts'
import { versioningNotices } from './versioning.ts'

const MiB = 1024 ** 2
const answerMs = 30_000
// Of the object's own metadata.
const originName = 'landfall'
// The parts can never be joined: what is recorded is not what the store has. Ceph says NoSuchKey for an aborted upload.
const unrecoverable = new Set(['InvalidPart', 'InvalidPartOrder', 'EntityTooSmall', 'NoSuchUpload', 'NoSuchKey'])

/** Objects in a bucket of S3, R2, MinIO, Ceph, Spaces and what else speaks S3. */
export function s3Store(options: S3Options, { onRequest = () => {} }: StoreWatch = {}): ObjectStore {
  const bucket = options.S3_BUCKET ?? ''
  const client = openClient(options)
  const sender = createSender({
    base: addressOf(options),
    region: options.S3_REGION,
    credentials: () => client.config.credentials(),
    sockets: socketsAtOnce,
    onRequest,
  })

  const named = (key: string) => ({ Bucket: bucket, Key: options.S3_PREFIX + key })
  let knowsIfNoneMatch = true

  const ask = createCaller(answerMs, onRequest)

  /** As `ask`, with the fault in the words of the core. */
  function call<T>(operation: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return ask(operation, work).catch((fault: S3Error) => Promise.reject(toUploadError(fault)))
  }

  /** @throws S3Error */
  async function lookAt(key: string): Promise<Found> {
    const head = await ask('HeadObject', (abortSignal) =>
      client.send(new HeadObjectCommand(named(key)), { abortSignal }),
    )
    const isOpaque = head.ServerSideEncryption?.startsWith('aws:kms') || head.SSECustomerAlgorithm !== undefined
    // An empty object says 0: what says nothing may be any.
    if (head.ContentLength === undefined) throw new S3Error('HeadObject', 200, 'NoContentLength')
    const origin = head.Metadata?.[originName] ?? null
    return { size: head.ContentLength, etag: unquoted(head.ETag), isOpaque, origin }
  }

  async function headObject(key: string): Promise<Found | null> {
    try {
      return await lookAt(key)
    } catch (fault) {
      if ((fault as S3Error).status === 404 || (await sight.isMissing(fault))) return null
      throw toUploadError(fault as S3Error)
    }
  }

  async function finish(key: string, multipartId: string, parts: StoredPart[]): Promise<ObjectInfo> {
    const size = parts.reduce((sum, part) => sum + part.size, 0)
    const Parts = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: `"${etag}"` }))
    const join = new CompleteMultipartUploadCommand({
      ...named(key),
      UploadId: multipartId,
      MultipartUpload: { Parts },
    })
    let told: string | undefined
    const fault = await ask(
      'CompleteMultipartUpload',
      (abortSignal) => client.send(join, { abortSignal }),
      longestMs,
    ).then(
      ({ ETag }) => {
        told = unquoted(ETag)
        return null
      },
      (error: S3Error) => error,
    )
    // Whatever was answered, the object itself is the proof: a success may have failed, and a failure succeeded.
    const joined = async () => {
      const facts = await headObject(key)
      return facts?.size === size && (facts.etag === told || mayBeJoinOf(parts, facts)) ? factsOf(facts) : null
    }
    const info = await joined()
    if (info) return info
    // Ceph 16 says "already in progress" with a 500 also when the multipart upload is gone; the list of open ones knows. A
    // join that ended between the two questions is no longer on the list either, so the object is looked for once more.
    if (fault?.code === 'InternalError' && !(await isOpen(key, multipartId))) {
      const late = await joined()
      if (late) return late
      throw new NoSuchUpload('no such multipart upload', { cause: fault })
    }
    if (fault === null || unrecoverable.has(fault.code)) {
      throw new NoSuchUpload('the parts are not what was recorded, or are gone', { cause: fault ?? undefined })
    }
    throw toUploadError(fault)
  }

  async function isOpen(key: string, multipartId: string): Promise<boolean> {
    for await (const open of openUploads(key)) if (open === multipartId) return true
    return false
  }

  async function put(key: string, bytes: Bytes, metadata: ObjectMetadata & { isNew?: boolean }): Promise<ObjectInfo> {
    const isGuarded = metadata.isNew === true && knowsIfNoneMatch
    const headers = {
      'Content-Type': metadata.contentType,
      ...(metadata.isAttachment && { 'Content-Disposition': 'attachment' }),
      ...(metadata.origin && { [`x-amz-meta-${originName}`]: metadata.origin }),
      ...(isGuarded && { 'If-None-Match': '*' }),
      ...(await checksumOf(bytes)),
    }
    try {
      const { etag } = await sender.put(bytes, { operation: 'PutObject', key: options.S3_PREFIX + key, headers })
      return { size: bytes.size, etag }
    } catch (error) {
      if (!(error instanceof S3Error)) throw error
      if (isGuarded && (error.status === 501 || error.code === 'NotImplemented')) {
        knowsIfNoneMatch = false
        return put(key, bytes, metadata)
      }
      if (!isGuarded || error.status !== 412) throw toUploadError(error)
      // There is an object: from an attempt of ours whose answer was lost, or from somebody who should not have written.
      const facts = await headObject(key)
      if (facts?.size === bytes.size && (facts.etag === (await md5Of(bytes)) || (await hasSameContent(key, bytes))))
        return factsOf(facts)
      throw new ObjectExists('there is another object already', { cause: error })
    }
  }

  /** By which the store can tell that the bytes came as they were sent. */
  async function checksumOf(bytes: Bytes): Promise<Record<string, string>> {
    if (!options.S3_CONTENT_MD5) return {}
    return { 'Content-MD5': Buffer.from(await md5Of(bytes), 'hex').toString('base64') }
  }

  /** Whether the object has these very bytes: where it is encrypted with a key of its own, its ETag does not tell. */
  async function hasSameContent(key: string, bytes: Bytes): Promise<boolean> {
    const [stored, ours] = [createHash('sha256'), createHash('sha256')]
    for await (const chunk of read(key)) stored.update(chunk)
    for await (const chunk of bytes.chunks()) ours.update(chunk)
    return stored.digest().equals(ours.digest())
  }

  const readThis = (key: string, range?: { start: number; end: number }) =>
    readObject(key, range, { client, named, stepMs: answerMs, onRequest })
  const sight = createSight({ put, look: lookAt, read: readThis })

  async function* read(key: string, range?: { start: number; end: number }): AsyncGenerator<Buffer> {
    try {
      yield* readThis(key, range)
    } catch (error) {
      if (await sight.isMissing(error)) throw new NoSuchKey('no such object', { cause: error })
      throw error
    }
  }

  async function check(): Promise<void> {
    if (sight.isUnlisted) return
    if (await checkBucket({ client, bucket, prefix: options.S3_PREFIX, call: ask })) return
    await sight.prove().catch((error: unknown) => {
      const cause = error instanceof S3Error ? error : (error as Error).cause
      throw cause instanceof S3Error ? toBucketError(cause, bucket) : error
    })
    sight.isUnlisted = true
  }

  async function* openUploads(key: string): AsyncGenerator<string> {
    const Prefix = options.S3_PREFIX + key
    let at: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {}
    for (;;) {
      const page = await call('ListMultipartUploads', (abortSignal) =>
        client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix, ...at }), { abortSignal }),
      )
      for (const upload of page.Uploads ?? []) if (upload.Key === Prefix && upload.UploadId) yield upload.UploadId
      if (!page.IsTruncated) return
      if (!page.NextKeyMarker) throw toUploadError(new S3Error('ListMultipartUploads', 200, 'NoNextKeyMarker'))
      at = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
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

    async createMultipart(key, { contentType, isAttachment, origin, onDoubt }) {
      const begin = new CreateMultipartUploadCommand({
        ...named(key),
        ContentType: contentType,
        ...(isAttachment && { ContentDisposition: 'attachment' }),
        ...(origin && { Metadata: { [originName]: origin } }),
      })
      const { UploadId, $metadata } = await call('CreateMultipartUpload', (abortSignal) =>
        client.send(begin, { abortSignal }),
      )
      // Of a first try whose answer was lost nobody can say what it did.
      if (($metadata.attempts ?? 1) > 1) onDoubt?.()
      return UploadId!
    },

    async uploadPart(key, multipartId, number, bytes) {
      const query = `partNumber=${number}&uploadId=${encodeURIComponent(multipartId)}`
      try {
        const headers = await checksumOf(bytes)
        const sending = { operation: 'UploadPart', key: options.S3_PREFIX + key, query, headers }
        const { etag } = await sender.put(bytes, sending)
        return { number, size: bytes.size, etag }
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
      const { CopyPartResult } = await ask(
        'UploadPartCopy',
        (abortSignal) => client.send(copy, { abortSignal }),
        longestMs,
      ).catch((fault: S3Error) => Promise.reject(toUploadError(fault)))
      return { number, size: end - start, etag: unquoted(CopyPartResult?.ETag) }
    },

    completeMultipart: finish,

    async abortMultipart(key, multipartId) {
      if (multipartId !== null) return abortOne(key, multipartId)
      for await (const open of openUploads(key)) await abortOne(key, open)
    },

    put,
    async stat(key) {
      const found = await headObject(key)
      return found && factsOf(found)
    },

    async originOf(key) {
      return (await headObject(key))?.origin ?? null
    },

    read,

    remove: (keys) => removeObjects(keys, { client, named, call: ask }),

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
      return sight.isUnlisted ? [unlistedNotice(bucket), ...versioning] : versioning
    },

    publicUrl(key) {
      if (options.S3_PUBLIC_URL === undefined) return null
      return `${options.S3_PUBLIC_URL.replace(/\/+$/, '')}/${escapeKey(options.S3_PREFIX + key)}`
    },

    async close() {
      sender.close()
      client.destroy()
    },
  }
}

function factsOf({ size, etag }: Found): ObjectInfo {
  return { size, etag }
}
