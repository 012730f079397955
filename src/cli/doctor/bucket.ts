import { randomUUID } from 'node:crypto'
import { ListMultipartUploadsCommand, type S3Client } from '@aws-sdk/client-s3'
import type { Config } from '../../config.ts'
import { longestLife } from '../../core/policy/policy.ts'
import { endpointOf, openClient } from '../../stores/s3/client.ts'
import { explain, isUnknownKey } from '../../stores/s3/errors.ts'
import { s3Store } from '../../stores/s3/store.ts'
import { keepsOldVersions, lifecycleOf } from '../../stores/s3/versioning.ts'
import { attempt, bytes, faultOf, tryVerbs } from './bucket-verbs.ts'
import { about, type Finding, reasonOf } from './finding.ts'

const report = about('bucket')
const day = 24 * 60 * 60 * 1000
// S3 refuses a request whose signature is older than 15 minutes.
const mostSkewMs = 10 * 60 * 1000

/**
 * Whether the bucket does everything that uploads ask of it, by asking it: with objects of its own, which are removed. An error that
 * would make every later check fail is the last finding.
 */
export async function* probeBucket(config: Config): AsyncGenerator<Finding> {
  if (config.STORE !== 's3') return
  const clock = await skewOf(endpointOf(config))
  if (clock !== null && Math.abs(clock) > mostSkewMs)
    yield report.warning(
      `the clocks of the S3 server and of this machine differ by ${Math.round(Math.abs(clock) / 60_000)} minutes`,
      'Landfall signs with the S3 server’s time, but let this machine follow a time server (NTP).',
    )
  const refused = await writeProbe(config)
  if (refused) {
    yield (await cureFor(refused, config)) ?? explainError(refused, config)
    return
  }
  const store = s3Store(config)
  const client = openClient(config, 2)
  try {
    yield report.ok(`the bucket ${config.S3_BUCKET} is there, and the credentials are good`)
    yield* tryVerbs(store, client, config)
    yield* inspectBucket(client, config)
  } finally {
    client.destroy()
    await store.close()
  }
}

/** Writes a small object the way uploads write theirs; what was thrown, or `null`. */
async function writeProbe(config: Config): Promise<unknown> {
  const store = s3Store(config)
  const key = `.landfall/doctor/${randomUUID()}`
  try {
    const refused = await attempt(() => store.put(key, bytes(10), { contentType: 'text/plain' }))
    if (!refused) await store.remove([key]).catch(() => {})
    return refused
  } finally {
    await store.close()
  }
}

/** The one setting that heals a refusal, found by trying it; `null` when none does. */
async function cureFor(refused: unknown, config: Config): Promise<Finding | null> {
  const fault = faultOf(refused)
  if (!fault || fault.status === 0) return null
  const cures: [Partial<Config>, string, string][] = [
    [
      { S3_CONTENT_MD5: true },
      `the bucket ${config.S3_BUCKET} demands checksums, as buckets with Object Lock do`,
      'Set S3_CONTENT_MD5=true.',
    ],
    [
      { S3_FORCE_PATH_STYLE: !config.S3_FORCE_PATH_STYLE },
      `the bucket ${config.S3_BUCKET} is not found ${config.S3_FORCE_PATH_STYLE ? 'in the path' : 'in the host name'} of ${endpointOf(config)}`,
      `Set S3_FORCE_PATH_STYLE=${!config.S3_FORCE_PATH_STYLE}.`,
    ],
  ]
  for (const [changed, message, fix] of cures) {
    if ((await writeProbe({ ...config, ...changed })) === null) return report.error(message, fix)
  }
  return null
}

/** How far this machine's clock is ahead of the server's, in ms; `null` when the server does not say. */
async function skewOf(endpoint: string): Promise<number | null> {
  const answer = await fetch(endpoint, { signal: AbortSignal.timeout(5000) }).catch(() => null)
  await answer?.body?.cancel()
  const date = Date.parse(answer?.headers.get('date') ?? '')
  return Number.isNaN(date) ? null : Date.now() - date
}

function explainError(
  error: unknown,
  { S3_BUCKET: bucket = '', S3_ENDPOINT: endpoint, S3_REGION: region }: Config,
): Finding {
  const fault = faultOf(error)
  if (!fault)
    return report.error(`the bucket cannot be used (${reasonOf(error)})`, 'Look at the settings that begin with S3_.')
  const message = explain(fault, bucket)
  if (fault.status === 0)
    return report.error(message, `Correct S3_ENDPOINT (${endpoint ?? 'AWS'}), or open the firewall on the way to it.`)
  if (fault.status === 404)
    return report.error(
      message,
      'Create the bucket, or correct S3_BUCKET; with a host name for each bucket, S3_FORCE_PATH_STYLE=false.',
    )
  if (isUnknownKey(fault)) return report.error(message, 'Correct S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY.')
  if (fault.status === 403)
    return report.error(
      message,
      'Give the key the right s3:PutObject on everything in the bucket; docs/buckets.md has the whole policy to paste.',
    )
  return report.error(message, `Correct S3_REGION (${region}) and S3_ENDPOINT.`)
}

/** What the bucket does by itself, and what lies in it. Rights for that are often not given, and then nothing is said. */
async function* inspectBucket(client: S3Client, config: Config): AsyncGenerator<Finding> {
  const longest = longestLife(config.POLICIES)
  const days = ((await lifecycleOf(client, config)) ?? []).flatMap(
    (rule) => rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation ?? [],
  )
  if (await keepsOldVersions(client, config))
    yield report.warning(
      'the bucket keeps old versions: what Landfall replaces and deletes stays, hidden, and costs money',
      `Add a lifecycle rule that expires noncurrent versions below ${config.S3_PREFIX}.landfall/ after a day; docs/buckets.md has it to paste.`,
    )
  if (days.length > 0 && Math.min(...days) * day <= longest)
    yield report.warning(
      `a lifecycle rule aborts multipart uploads after ${Math.min(...days)} days, and uploads live ${Number.isFinite(longest) ? `up to ${longest / day} days` : 'for ever'} here`,
      'Lengthen the rule, or shorten timeToLive in POLICIES: what the bucket aborts must be sent anew.',
    )
  const listed = await client
    .send(new ListMultipartUploadsCommand({ Bucket: config.S3_BUCKET, Prefix: config.S3_PREFIX }))
    .catch(() => null)
  const old = (listed?.Uploads ?? []).filter(
    ({ Initiated }) => Initiated && Date.now() - Initiated.getTime() > longest + day,
  )
  if (old.length > 0)
    yield report.warning(
      `${old.length} multipart uploads have been open for longer than any upload lives; they cost money`,
      'Run `landfall sweep`; what it leaves belongs to another program, or to a database that is gone: abort it by hand.',
    )
}
