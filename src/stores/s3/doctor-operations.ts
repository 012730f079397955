import { randomUUID } from 'node:crypto'
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import type { Bytes, ObjectStore } from '../../core/ports/object-store.ts'
import { about, type Finding, reasonOf } from '../finding.ts'
import { S3Error } from './errors.ts'
import type { S3Options } from './options.ts'

const report = about('bucket')
const MiB = 1024 ** 2

/** The error that `work` throws; `null` when it succeeds. */
export async function attempt(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work()
    return null
  } catch (error) {
    return error
  }
}

/** The error of the S3 server in the chain of causes. */
export function s3ErrorOf(error: unknown): S3Error | null {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof S3Error) return at
  return null
}

interface Step {
  name: string
  /** The IAM action that it needs. */
  permission: string
  work(): Promise<unknown>
}

/** Runs the operations of the store in the order of an upload. A failure is a finding, and the other operations run nevertheless. */
export async function* tryOperations(store: ObjectStore, client: S3Client, config: S3Options): AsyncGenerator<Finding> {
  const folder = `.landfall/doctor/${randomUUID()}`
  const [small, large, copied, aborted] = ['small', 'large', 'copied', 'aborted'].map(
    (name) => `${folder}/${name}`,
  ) as [string, string, string, string]
  const about = { contentType: 'text/plain' }
  const partSize = store.limits.minPartSize
  let multipartId = ''
  let abortedId = ''
  const steps: Step[] = [
    { name: 'write an object', permission: 's3:PutObject', work: () => store.put(small, bytes(10), about) },
    {
      name: 'read it back',
      permission: 's3:GetObject',
      async work() {
        let size = 0
        for await (const chunk of store.read(small)) size += chunk.length
        if (size !== 10) throw new Error(`${size} bytes came back of 10`)
      },
    },
    {
      name: 'create a multipart upload',
      permission: 's3:PutObject',
      async work() {
        multipartId = await store.createMultipart(large, { ...about, partSize })
      },
    },
    {
      name: 'complete a multipart upload',
      permission: 's3:PutObject',
      async work() {
        const first = await store.uploadPart(large, multipartId, 1, bytes(partSize))
        const last = await store.uploadPart(large, multipartId, 2, bytes(1))
        const { size } = await store.completeMultipart(large, multipartId, [first, last])
        if (size !== partSize + 1) throw new Error(`the object has ${size} bytes instead of ${partSize + 1}`)
      },
    },
    {
      name: 'abort a multipart upload',
      permission: 's3:AbortMultipartUpload',
      async work() {
        abortedId = await store.createMultipart(aborted, { ...about, partSize })
        await store.abortMultipart(aborted, abortedId)
      },
    },
    {
      name: 'list multipart uploads',
      permission: 's3:ListBucketMultipartUploads',
      work: () => store.abortMultipart(aborted, null),
    },
    {
      name: 'list objects',
      permission: 's3:ListBucket',
      async work() {
        const found: string[] = []
        for await (const key of store.list(folder)) found.push(key)
        if (!found.includes(small)) throw new Error('the list lacks an object that was written')
      },
    },
  ]
  const failed = new Set<string>()
  for (const step of steps) {
    const error = await attempt(step.work)
    if (error) {
      failed.add(step.name)
      yield failedStep(step, error)
    }
  }
  if (!failed.has('complete a multipart upload')) yield* partRules(store, { source: large, target: copied, partSize })
  yield await checksums(client, config, small)
  if (config.S3_PUBLIC_URL !== undefined)
    yield await publicAddress(config.S3_PUBLIC_URL, store.publicUrl?.(small) ?? '')
  const keys = [small, large, copied]
  const removing: Step = { name: 'remove objects', permission: 's3:DeleteObject', work: () => store.remove(keys) }
  const error = await attempt(removing.work)
  if (error) yield failedStep(removing, error)
  else if (failed.size === 0)
    yield report.ok(
      'objects can be written, read, listed and removed, and multipart uploads created, completed, aborted and listed',
    )
}

function failedStep({ name, permission }: Step, error: unknown): Finding {
  const s3Error = s3ErrorOf(error)
  const reason = s3Error ? `${s3Error.status} ${s3Error.code}` : reasonOf(error)
  const isForbidden = s3Error?.status === 403 || s3Error?.status === 401
  return report.error(
    `it is not possible to ${name} (${reason})`,
    isForbidden
      ? `Give the access key the permission ${permission}; docs/buckets.md has the whole policy.`
      : 'Landfall needs this operation: ask the operator of the S3 server, or use another one.',
  )
}

/** Tests copies within the bucket, and whether all parts must have the same size. */
async function* partRules(
  store: ObjectStore,
  { source, target, partSize }: { source: string; target: string; partSize: number },
): AsyncGenerator<Finding> {
  const multipartId = await store.createMultipart(target, { contentType: 'text/plain', partSize })
  const copy = (number: number, end: number) =>
    store.copyPart(target, multipartId, number, { key: source, start: 0, end })
  try {
    const parts = [await copy(1, partSize), await copy(2, partSize + 1), await copy(3, partSize)]
    const unequal = await attempt(() => store.completeMultipart(target, multipartId, parts))
    yield report.ok(
      unequal
        ? 'all parts must have the same size here, as those of Landfall have'
        : 'parts may differ in size here; those of Landfall do not',
    )
  } catch (error) {
    yield report.warning(
      `parts cannot be copied from other objects (${reasonOf(error)})`,
      'Only tus concatenation needs it: clients must not use parallelUploads.',
    )
  } finally {
    await store.abortMultipart(target, multipartId).catch(() => {})
  }
}

/** Tests whether browsers can load an object at S3_PUBLIC_URL, and whether pages of other origins may read it. */
async function publicAddress(base: string, url: string): Promise<Finding> {
  const origin = 'https://page.example'
  const response = await fetch(url, { headers: { origin }, signal: AbortSignal.timeout(5000) }).catch(
    (error) => error as Error,
  )
  if (response instanceof Error)
    return report.warning(`browsers cannot reach objects at ${base} (${reasonOf(response)})`, 'Correct S3_PUBLIC_URL.')
  await response.body?.cancel()
  if (!response.ok)
    return report.warning(
      `objects at ${base} are answered with ${response.status}`,
      'Remove S3_PUBLIC_URL if the bucket is private: its object URLs in the API do not work. If the bucket is meant to be public, correct S3_PUBLIC_URL.',
    )
  const isOpen = response.headers.get('access-control-allow-origin') !== null
  return report.ok(
    `browsers can load objects at ${base}; pages of other origins may ${isOpen ? 'read them' : 'only show them (no CORS)'}`,
  )
}

async function checksums(client: S3Client, config: S3Options, key: string): Promise<Finding> {
  const wrong = { Bucket: config.S3_BUCKET, Key: config.S3_PREFIX + key, Body: 'landfall', ChecksumCRC32: 'AAAAAA==' }
  const error = await attempt(() => client.send(new PutObjectCommand(wrong)))
  return report.ok(
    error ? 'the S3 server verifies checksums of requests' : 'the S3 server does not verify checksums of requests',
  )
}

/** `size` bytes of text. */
export function bytes(size: number): Bytes {
  const chunk = Buffer.alloc(Math.min(size, MiB), 'landfall ')
  const chunks = Array.from({ length: Math.ceil(size / chunk.length) }, (_, index) =>
    chunk.subarray(0, Math.min(chunk.length, size - index * chunk.length)),
  )
  return { size, chunks: () => chunks }
}
