/*
 * The policies as this server knows them. It hears of a new version by NOTIFY, and asks every few seconds in case it did not:
 * a connection that was lost for a moment hears nothing. Whoever asks for a limit is answered from memory.
 */

import type { PolicyDocument } from '../../core/policy/policy.ts'
import type { Database } from '../../db/open.ts'
import { writePolicyDocument } from './schema.ts'
import { type PolicyVersion, type PolicyVersions, policyChannel } from './versions.ts'

export interface PolicyCache {
  /** What holds now. */
  current(): PolicyVersion
  /** Looks whether there is a newer version, at once. */
  refresh(): Promise<void>
  close(): Promise<void>
}

export interface PolicyCacheOptions {
  database: Database
  versions: PolicyVersions
  /** What the settings say: the first version, and the next one as long as only settings have ever said anything. */
  initialPolicies: PolicyDocument
  pollMs?: number
  onError(error: unknown): void
  /** Told when this server goes over to another version. */
  onChange?(version: PolicyVersion): void
}

/** Who wrote the versions that come from the settings. */
export const settingsAuthor = 'the setting POLICIES'
const pollEveryMs = 3000

/** Opens the book; the policies are there when it resolves. @throws PolicyFault, UploadError DATABASE_ERROR */
export async function openPolicyCache(options: PolicyCacheOptions): Promise<PolicyCache> {
  const { database, versions, onError, onChange } = options
  let current = await firstVersion(versions, options.initialPolicies)
  let contentPolicy: Promise<void> | null = null
  let isAsked = false

  async function poll(): Promise<void> {
    const newer = await versions.newerThan(current.version)
    if (!newer || newer.version <= current.version) return
    current = newer
    onChange?.(newer)
  }

  /** One look at a time; who asks meanwhile may have heard of something that the running one is too early for. */
  function refresh(): Promise<void> {
    if (contentPolicy) {
      isAsked = true
      return contentPolicy
    }
    contentPolicy = (async () => {
      do {
        isAsked = false
        await poll()
      } while (isAsked)
    })().finally(() => {
      contentPolicy = null
    })
    return contentPolicy
  }

  const refreshSoon = () => void refresh().catch(onError)
  await database.listen(policyChannel, refreshSoon)
  const timer = setInterval(refreshSoon, options.pollMs ?? pollEveryMs)
  timer.unref()
  // A version may have come between the first look and the listening.
  refreshSoon()

  return {
    current: () => current,
    refresh,
    async close() {
      clearInterval(timer)
      await contentPolicy?.catch(() => {})
    },
  }
}

/** The newest version. Settings count until somebody has changed the policies in another way. */
async function firstVersion(versions: PolicyVersions, seed: PolicyDocument): Promise<PolicyVersion> {
  for (;;) {
    const latest = await versions.latest()
    if (latest && (latest.author !== settingsAuthor || isSame(latest.document, seed))) return latest
    // Another server may be faster; then its version is the one to look at.
    const added = await versions.add(latest?.version ?? 0, seed, { author: settingsAuthor, note: null })
    if (added) return added
  }
}

/** Whether two documents mean the same. */
export function isSame(one: PolicyDocument, other: PolicyDocument): boolean {
  return JSON.stringify(writePolicyDocument(one)) === JSON.stringify(writePolicyDocument(other))
}
