/*
 * The active policies, in memory. A server learns of a new version by NOTIFY, and polls every few seconds because a notification is
 * lost while its connection is down.
 */

import type { PolicyDocument } from '../core/policy/policy.ts'
import type { Database } from '../db/open.ts'
import { writePolicyDocument } from './schema.ts'
import { type PolicyVersion, type PolicyVersions, policyChannel } from './versions.ts'

export interface PolicyCache {
  /** The active version. */
  current(): PolicyVersion
  /** Loads a newer version, if there is one, before it resolves. */
  refresh(): Promise<void>
  close(): Promise<void>
}

export interface PolicyCacheOptions {
  database: Database
  versions: PolicyVersions
  /** The policies of the setting POLICIES: the first version, and a new version as long as all versions come from the setting. */
  initialPolicies: PolicyDocument
  pollMs?: number
  onError(error: unknown): void
  /** Called when another version becomes active on this server. */
  onChange?(version: PolicyVersion): void
}

/** The author of versions that come from the settings. */
export const settingsAuthor = 'the setting POLICIES'
const pollEveryMs = 3000

/** Opens the cache; the policies are loaded when it resolves. @throws PolicyError, UploadError DATABASE_ERROR */
export async function openPolicyCache(options: PolicyCacheOptions): Promise<PolicyCache> {
  const { database, versions, onError, onChange } = options
  let current = await firstVersion(versions, options.initialPolicies)
  let refreshing: Promise<void> | null = null
  let isRequestedAgain = false

  async function poll(): Promise<void> {
    const newer = await versions.newerThan(current.version)
    if (!newer || newer.version <= current.version) return
    current = newer
    onChange?.(newer)
  }

  /** One query at a time. A call during a query causes another one: the running query may have started before the change. */
  function refresh(): Promise<void> {
    if (refreshing) {
      isRequestedAgain = true
      return refreshing
    }
    refreshing = (async () => {
      do {
        isRequestedAgain = false
        await poll()
      } while (isRequestedAgain)
    })().finally(() => {
      refreshing = null
    })
    return refreshing
  }

  const refreshSoon = () => void refresh().catch(onError)
  await database.listen(policyChannel, refreshSoon)
  const timer = setInterval(refreshSoon, options.pollMs ?? pollEveryMs)
  timer.unref()
  // A version may have been added between the first query and the start of listening.
  refreshSoon()

  return {
    current: () => current,
    refresh,
    async close() {
      clearInterval(timer)
      await refreshing?.catch(() => {})
    },
  }
}

/** The newest version. The setting applies until the policies have been changed in another way. */
async function firstVersion(versions: PolicyVersions, initial: PolicyDocument): Promise<PolicyVersion> {
  for (;;) {
    const latest = await versions.latest()
    if (latest && (latest.author !== settingsAuthor || isSame(latest.document, initial))) return latest
    // Another server may have added its version first: then the loop checks that one.
    const added = await versions.add(latest?.version ?? 0, initial, { author: settingsAuthor, note: null })
    if (added) return added
  }
}

/** Whether two documents mean the same. */
export function isSame(one: PolicyDocument, other: PolicyDocument): boolean {
  return JSON.stringify(writePolicyDocument(one)) === JSON.stringify(writePolicyDocument(other))
}
