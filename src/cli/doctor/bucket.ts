import { GetBucketLifecycleConfigurationCommand, ListMultipartUploadsCommand, type S3Client } from '@aws-sdk/client-s3'
import type { Config } from '../../config.ts'
import { longestLife } from '../../core/policy/policy.ts'
import { endpointOf, openClient } from '../../stores/s3/client.ts'
import { explain } from '../../stores/s3/faults.ts'
import { s3Store } from '../../stores/s3/store.ts'
import { attempt, faultOf, tryVerbs } from './bucket-verbs.ts'
import { about, type Finding, reasonOf } from './finding.ts'

const { fine, doubtful, broken } = about('bucket')
const day = 24 * 60 * 60 * 1000
// S3 refuses a request whose signature is older than 15 minutes.
const mostSkewMs = 10 * 60 * 1000

/** Whether the bucket does everything that is asked of it, by asking it: with objects of its own, which are removed. */
export async function* probeBucket(config: Config): AsyncGenerator<Finding> {
  if (config.STORE !== 's3') return
  const clock = await skewOf(endpointOf(config))
  if (clock !== null && Math.abs(clock) > mostSkewMs)
    yield broken(
      `the clocks of the S3 server and of this machine differ by ${Math.round(Math.abs(clock) / 60_000)} minutes`,
      'The S3 server takes signatures for old or for too young: let this machine follow a time server (NTP).',
    )
  const store = s3Store(config)
  const client = openClient(config, 2)
  try {
    const unusable = await attempt(() => store.check())
    if (unusable) {
      yield whyNot(unusable, config)
      return
    }
    yield fine(`the bucket ${config.S3_BUCKET} is there, and the credentials are good`)
    yield* tryVerbs(store, client, config)
    yield* lookAround(client, config)
  } finally {
    client.destroy()
    await store.close()
  }
}

/** How far this machine's clock is ahead of the server's, in ms; `null` when the server does not say. */
async function skewOf(endpoint: string): Promise<number | null> {
  const answer = await fetch(endpoint, { signal: AbortSignal.timeout(5000) }).catch(() => null)
  await answer?.body?.cancel()
  const date = Date.parse(answer?.headers.get('date') ?? '')
  return Number.isNaN(date) ? null : Date.now() - date
}

function whyNot(error: unknown, { S3_BUCKET: bucket = '', S3_ENDPOINT: endpoint, S3_REGION: region }: Config): Finding {
  const fault = faultOf(error)
  if (!fault)
    return broken(`the bucket cannot be used (${reasonOf(error)})`, 'Look at the settings that begin with S3_.')
  const says = explain(fault, bucket)
  if (fault.status === 0)
    return broken(says, `Correct S3_ENDPOINT (${endpoint ?? 'AWS'}), or open the firewall on the way to it.`)
  if (fault.status === 404)
    return broken(
      says,
      'Create the bucket, or correct S3_BUCKET; with a host name for each bucket, S3_FORCE_PATH_STYLE=false.',
    )
  if (fault.status === 403 || fault.status === 401)
    return broken(says, 'Correct S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, or give that key rights on the bucket.')
  return broken(says, `Correct S3_REGION (${region}) and S3_ENDPOINT.`)
}

/** What the bucket does by itself, and what lies in it. Rights for that are often not given, and then nothing is said. */
async function* lookAround(client: S3Client, config: Config): AsyncGenerator<Finding> {
  const Bucket = config.S3_BUCKET
  const longest = longestLife(config.POLICIES)
  const lifecycle = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket })).catch(() => null)
  const days = (lifecycle?.Rules ?? [])
    .filter(({ Status }) => Status === 'Enabled')
    .flatMap((rule) => rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation ?? [])
  if (days.length > 0 && Math.min(...days) * day <= longest)
    yield doubtful(
      `a lifecycle rule aborts multipart uploads after ${Math.min(...days)} days, and uploads live ${Number.isFinite(longest) ? `up to ${longest / day} days` : 'for ever'} here`,
      'Lengthen the rule, or shorten timeToLive in POLICIES: what the bucket aborts must be sent anew.',
    )
  const listed = await client
    .send(new ListMultipartUploadsCommand({ Bucket, Prefix: config.S3_PREFIX }))
    .catch(() => null)
  const old = (listed?.Uploads ?? []).filter(
    ({ Initiated }) => Initiated && Date.now() - Initiated.getTime() > longest + day,
  )
  if (old.length > 0)
    yield doubtful(
      `${old.length} multipart uploads have been open for longer than any upload lives; they cost money`,
      'Run `landfall sweep`; what it leaves belongs to somebody else, or to a database that is gone: abort it by hand.',
    )
}
