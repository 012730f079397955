import { randomUUID } from 'node:crypto'
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import type { Config } from '../../config.ts'
import type { Bytes, ObjectStore } from '../../core/ports.ts'
import { S3Error } from '../../stores/s3/errors.ts'
import { about, type Finding, reasonOf } from './finding.ts'

const report = about('bucket')
const MiB = 1024 ** 2

/** What `work` throws; `null` when it succeeds. */
export async function attempt(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work()
    return null
  } catch (error) {
    return error
  }
}

/** What the S3 server said, however deep. */
export function faultOf(error: unknown): S3Error | null {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof S3Error) return at
  return null
}

interface Step {
  what: string
  /** The right that it needs, as AWS calls it. */
  right: string
  work(): Promise<unknown>
}

/** The store's own verbs in the order of an upload. What fails is told, and the rest tried all the same. */
export async function* tryVerbs(store: ObjectStore, client: S3Client, config: Config): AsyncGenerator<Finding> {
  const folder = `.landfall/doctor/${randomUUID()}`
  const [small, large, joined, left] = ['small', 'large', 'joined', 'left'].map((name) => `${folder}/${name}`) as [
    string,
    string,
    string,
    string,
  ]
  const about = { contentType: 'text/plain' }
  const partSize = store.limits.minPartSize
  let handle = ''
  let leftHandle = ''
  const steps: Step[] = [
    { what: 'write an object', right: 's3:PutObject', work: () => store.put(small, bytes(10), about) },
    {
      what: 'read it back',
      right: 's3:GetObject',
      async work() {
        let size = 0
        for await (const chunk of store.read(small)) size += chunk.length
        if (size !== 10) throw new Error(`${size} bytes came back of 10`)
      },
    },
    {
      what: 'begin a multipart upload',
      right: 's3:PutObject',
      async work() {
        handle = await store.createMultipart(large, { ...about, partSize })
      },
    },
    {
      what: 'write parts and join them',
      right: 's3:PutObject',
      async work() {
        const first = await store.uploadPart(large, handle, 1, bytes(partSize))
        const last = await store.uploadPart(large, handle, 2, bytes(1))
        const { size } = await store.completeMultipart(large, handle, [first, last])
        if (size !== partSize + 1) throw new Error(`the object has ${size} bytes and not ${partSize + 1}`)
      },
    },
    {
      what: 'abort a multipart upload',
      right: 's3:AbortMultipartUpload',
      async work() {
        leftHandle = await store.createMultipart(left, { ...about, partSize })
        await store.abortMultipart(left, leftHandle)
      },
    },
    {
      what: 'list multipart uploads that are open',
      right: 's3:ListBucketMultipartUploads',
      work: () => store.abortMultipart(left, null),
    },
    {
      what: 'list objects',
      right: 's3:ListBucket',
      async work() {
        const found: string[] = []
        for await (const key of store.list(folder)) found.push(key)
        if (!found.includes(small)) throw new Error('an object that was written is not in the list')
      },
    },
  ]
  const failed = new Set<string>()
  for (const step of steps) {
    const error = await attempt(step.work)
    if (error) {
      failed.add(step.what)
      yield missingRight(step, error)
    }
  }
  if (!failed.has('write parts and join them')) yield* partRules(store, { source: large, target: joined, partSize })
  yield await checksums(client, config, small)
  if (config.S3_PUBLIC_URL !== undefined)
    yield await publicAddress(config.S3_PUBLIC_URL, store.publicUrl?.(small) ?? '')
  const keys = [small, large, joined]
  const removing: Step = { what: 'remove objects', right: 's3:DeleteObject', work: () => store.remove(keys) }
  const error = await attempt(removing.work)
  if (error) yield missingRight(removing, error)
  else if (failed.size === 0)
    yield report.ok('objects and multipart uploads can be written, read, joined, aborted, listed and removed')
}

function missingRight({ what, right }: Step, error: unknown): Finding {
  const fault = faultOf(error)
  const reason = fault ? `${fault.status} ${fault.code}` : reasonOf(error)
  const isForbidden = fault?.status === 403 || fault?.status === 401
  return report.error(
    `it is not possible to ${what} (${reason})`,
    isForbidden
      ? `Give the key the right ${right}; docs/buckets.md has the whole policy to paste.`
      : 'Landfall needs this: ask whoever runs the S3 server, or take another one.',
  )
}

/** Copies on the server's side, and with them whether parts must have one size. */
async function* partRules(
  store: ObjectStore,
  { source, target, partSize }: { source: string; target: string; partSize: number },
): AsyncGenerator<Finding> {
  const handle = await store.createMultipart(target, { contentType: 'text/plain', partSize })
  const copy = (number: number, end: number) => store.copyPart(target, handle, number, { key: source, start: 0, end })
  try {
    const parts = [await copy(1, partSize), await copy(2, partSize + 1), await copy(3, partSize)]
    const unequal = await attempt(() => store.completeMultipart(target, handle, parts))
    yield report.ok(
      unequal
        ? 'parts must have one size here, as Landfall makes them'
        : 'parts may differ in size here; Landfall makes them equal all the same',
    )
  } catch (error) {
    yield report.warning(
      `parts cannot be copied from other objects (${reasonOf(error)})`,
      'Only files in parallel pieces need it (tus concatenation): tell clients to leave parallelUploads alone.',
    )
  } finally {
    await store.abortMultipart(target, handle).catch(() => {})
  }
}

/** Whether browsers get at an object where S3_PUBLIC_URL message, and whether pages may read it there. */
async function publicAddress(base: string, url: string): Promise<Finding> {
  const origin = 'https://page.example'
  const answer = await fetch(url, { headers: { origin }, signal: AbortSignal.timeout(5000) }).catch(
    (error) => error as Error,
  )
  if (answer instanceof Error)
    return report.warning(`browsers do not reach objects at ${base} (${reasonOf(answer)})`, 'Correct S3_PUBLIC_URL.')
  await answer.body?.cancel()
  if (!answer.ok)
    return report.warning(
      `objects at ${base} are answered with ${answer.status}`,
      'Take S3_PUBLIC_URL away if the bucket is private: the addresses in the API lead nowhere. If it is meant to be public, correct S3_PUBLIC_URL.',
    )
  const isOpen = answer.headers.get('access-control-allow-origin') !== null
  return report.ok(
    `browsers get objects at ${base}; pages of other origins may ${isOpen ? 'read them' : 'show them only (no CORS)'}`,
  )
}

async function checksums(client: S3Client, config: Config, key: string): Promise<Finding> {
  const wrong = { Bucket: config.S3_BUCKET, Key: config.S3_PREFIX + key, Body: 'landfall', ChecksumCRC32: 'AAAAAA==' }
  const error = await attempt(() => client.send(new PutObjectCommand(wrong)))
  return report.ok(
    error ? 'checksums that are sent along are checked' : 'checksums that are sent along are not checked',
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
