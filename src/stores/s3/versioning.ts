import {
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  type LifecycleRule,
  type S3Client,
} from '@aws-sdk/client-s3'
import type { S3Options } from './options.ts'

/** The enabled lifecycle rules of the bucket; `null` when the key may not read them, or the server does not support them. */
export async function lifecycleOf(client: S3Client, { S3_BUCKET }: S3Options): Promise<LifecycleRule[] | null> {
  const found = await client
    .send(new GetBucketLifecycleConfigurationCommand({ Bucket: S3_BUCKET }))
    .catch((error: unknown) => ((error as { name?: string }).name === 'NoSuchLifecycleConfiguration' ? {} : null))
  return found && ('Rules' in found ? (found.Rules ?? []) : []).filter(({ Status }) => Status === 'Enabled')
}

/**
 * Whether the bucket keeps objects that Landfall deletes: with versioning, each replaced tail object and each deleted file stays as a
 * noncurrent version until a lifecycle rule removes it. Also false when the key may not read the settings.
 */
export async function keepsOldVersions(client: S3Client, options: S3Options): Promise<boolean> {
  const { Status } = await client
    .send(new GetBucketVersioningCommand({ Bucket: options.S3_BUCKET }))
    .catch(() => ({ Status: undefined }))
  if (Status !== 'Enabled') return false
  const rules = (await lifecycleOf(client, options)) ?? []
  const tails = `${options.S3_PREFIX}.landfall/`
  return !rules.some(
    (rule) =>
      rule.NoncurrentVersionExpiration?.NoncurrentDays !== undefined &&
      tails.startsWith(rule.Filter?.Prefix ?? rule.Prefix ?? ''),
  )
}

/** The notice for the operator about kept old versions, with the rule that removes them; empty when none are kept. */
export async function versioningNotices(client: S3Client, options: S3Options): Promise<string[]> {
  if (!(await keepsOldVersions(client, options))) return []
  return [
    `The bucket ${options.S3_BUCKET} keeps old versions: objects that Landfall replaces or deletes stay, hidden, and cost money. Add a lifecycle rule that expires noncurrent versions below ${options.S3_PREFIX}.landfall/ after a day; docs/buckets.md has it to paste.`,
  ]
}
