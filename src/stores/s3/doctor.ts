import { randomUUID } from 'node:crypto'
import { ListMultipartUploadsCommand, type S3Client } from '@aws-sdk/client-s3'
import { about, type Finding, reasonOf } from '../finding.ts'
import { endpointOf, openClient } from './client.ts'
import { attempt, bytes, s3ErrorOf, tryOperations } from './doctor-operations.ts'
import { explain, isUnknownKey } from './errors.ts'
import type { S3Options } from './options.ts'
import { s3Store } from './store.ts'
import { keepsOldVersions, lifecycleOf } from './versioning.ts'

const report = about('bucket')
const day = 24 * 60 * 60 * 1000
// S3 refuses a request whose signature is older than 15 minutes.
const maxSkewMs = 10 * 60 * 1000

/**
 * Tests every operation that uploads need from the bucket, on objects of its own, which it removes. An error that would make every later
 * check fail is the last finding.
 */
export async function* probeBucket(config: S3Options, longestMs: number): AsyncGenerator<Finding> {
  const clock = await skewOf(endpointOf(config))
  if (clock !== null && Math.abs(clock) > maxSkewMs)
    yield report.warning(
      `the clocks of the S3 server and of this machine differ by ${Math.round(Math.abs(clock) / 60_000)} minutes`,
      'Landfall signs requests with the time of the S3 server, but synchronize the clock of this machine (NTP).',
    )
  const error = await writeProbe(config)
  if (error) {
    yield (await settingFor(error, config)) ?? explainError(error, config)
    return
  }
  const store = s3Store(config)
  const client = openClient(config, 2)
  try {
    yield report.ok(`the bucket ${config.S3_BUCKET} exists, and the credentials are valid`)
    yield* tryOperations(store, client, config)
    yield* inspectBucket(client, config, longestMs)
  } finally {
    client.destroy()
    await store.close()
  }
}

/** Writes a small object as uploads do. @returns the error, or `null` */
async function writeProbe(config: S3Options): Promise<unknown> {
  const store = s3Store(config)
  const key = `.landfall/doctor/${randomUUID()}`
  try {
    const error = await attempt(() => store.put(key, bytes(10), { contentType: 'text/plain' }))
    if (!error) await store.remove([key]).catch(() => {})
    return error
  } finally {
    await store.close()
  }
}

/** The setting that avoids `error`, found by trying it; `null` when none does. */
async function settingFor(error: unknown, config: S3Options): Promise<Finding | null> {
  const s3Error = s3ErrorOf(error)
  if (!s3Error || s3Error.status === 0) return null
  const candidates: [Partial<S3Options>, string, string][] = [
    [
      { S3_CONTENT_MD5: true },
      `the bucket ${config.S3_BUCKET} requires checksums, as buckets with Object Lock do`,
      'Set S3_CONTENT_MD5=true.',
    ],
    [
      { S3_FORCE_PATH_STYLE: !config.S3_FORCE_PATH_STYLE },
      `the bucket ${config.S3_BUCKET} is not found ${config.S3_FORCE_PATH_STYLE ? 'in the path' : 'in the host name'} of ${endpointOf(config)}`,
      `Set S3_FORCE_PATH_STYLE=${!config.S3_FORCE_PATH_STYLE}.`,
    ],
  ]
  for (const [changed, message, fix] of candidates) {
    if ((await writeProbe({ ...config, ...changed })) === null) return report.error(message, fix)
  }
  return null
}

/** How far the clock of this machine is ahead of the server's, in ms; `null` when the server sends no date. */
async function skewOf(endpoint: string): Promise<number | null> {
  const response = await fetch(endpoint, { signal: AbortSignal.timeout(5000) }).catch(() => null)
  await response?.body?.cancel()
  const date = Date.parse(response?.headers.get('date') ?? '')
  return Number.isNaN(date) ? null : Date.now() - date
}

function explainError(
  error: unknown,
  { S3_BUCKET: bucket = '', S3_ENDPOINT: endpoint, S3_REGION: region }: S3Options,
): Finding {
  const s3Error = s3ErrorOf(error)
  if (!s3Error) return report.error(`the bucket cannot be used (${reasonOf(error)})`, 'Check the settings S3_*.')
  const message = explain(s3Error, bucket)
  if (s3Error.status === 0)
    return report.error(message, `Correct S3_ENDPOINT (${endpoint ?? 'AWS'}), or open the firewall for it.`)
  if (s3Error.status === 404)
    return report.error(
      message,
      'Create the bucket, or correct S3_BUCKET. If each bucket has its own host name, set S3_FORCE_PATH_STYLE=false.',
    )
  if (isUnknownKey(s3Error)) return report.error(message, 'Correct S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY.')
  if (s3Error.status === 403)
    return report.error(
      message,
      'Give the access key the permission s3:PutObject on all objects of the bucket; docs/buckets.md has the whole policy.',
    )
  return report.error(message, `Correct S3_REGION (${region}) and S3_ENDPOINT.`)
}

/** Checks versioning, lifecycle rules and old multipart uploads. Often the permissions for this are missing: then there is no finding. */
async function* inspectBucket(client: S3Client, config: S3Options, longest: number): AsyncGenerator<Finding> {
  const days = ((await lifecycleOf(client, config)) ?? []).flatMap(
    (rule) => rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation ?? [],
  )
  if (await keepsOldVersions(client, config))
    yield report.warning(
      'the bucket keeps old versions: objects that Landfall replaces and deletes stay as hidden versions and cost money',
      `Add a lifecycle rule that expires noncurrent versions below ${config.S3_PREFIX}.landfall/ after a day; docs/buckets.md has it.`,
    )
  if (days.length > 0 && Math.min(...days) * day <= longest)
    yield report.warning(
      `a lifecycle rule aborts multipart uploads after ${Math.min(...days)} days, but uploads may take ${Number.isFinite(longest) ? `${longest / day} days` : 'any time'} here`,
      'Lengthen the rule, or shorten timeToLive in the policies: bytes that the bucket aborts must be sent again.',
    )
  const listed = await client
    .send(new ListMultipartUploadsCommand({ Bucket: config.S3_BUCKET, Prefix: config.S3_PREFIX }))
    .catch(() => null)
  const old = (listed?.Uploads ?? []).filter(
    ({ Initiated }) => Initiated && Date.now() - Initiated.getTime() > longest + day,
  )
  if (old.length > 0)
    yield report.warning(
      `${old.length} multipart uploads have been open for longer than any upload may take; they cost money`,
      'Run `landfall sweep`. Those that it leaves belong to another program, or to a database that is gone: abort them by hand.',
    )
}
