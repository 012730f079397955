import { actorIfKnown, adminRouteOf, namedUpload, onErrorAnswered } from '../../http/error-listeners.ts'
import { clientInfoOf } from '../../http/identity/client-info.ts'
import type { Feature, FeatureDeps } from '../feature.ts'
import { forgetAudit, sealAudit } from './chain.ts'
import { writeAudit } from './log.ts'
import { auditPlugin } from './plugin.ts'
import { createRejectionLog } from './rejections.ts'

const logChainMs = 3_600_000

/** The audit log: records refused requests, seals and forgets entries, and shows them to administrators. */
export function createAudit({
  settings: { AUDIT_RETENTION },
  database,
  secrets: [secret],
  log,
  onError,
}: FeatureDeps<{ AUDIT_RETENTION: number }>): Feature {
  const rejections = createRejectionLog({ write: (entries) => writeAudit(database, entries), onError })
  let loggedAt = Number.NEGATIVE_INFINITY

  /** Seals the audit log, and logs the end of its chain every `logChainMs`: the owner of the database cannot change that line. */
  async function seal(isLast = false): Promise<void> {
    const { seq, hash } = await sealAudit(database, secret)
    if (seq === 0 || (!isLast && performance.now() - loggedAt < logChainMs)) return
    loggedAt = performance.now()
    log.info({ anchor: `${seq}:${hash}` }, 'the audit log is sealed up to here')
  }

  return {
    hooks(http) {
      onErrorAnswered(http, (error, request) =>
        rejections.note({
          error,
          actor: actorIfKnown(request),
          client: clientInfoOf(request),
          uploadId: namedUpload(request),
          adminRoute: adminRouteOf(request, http.prefix),
        }),
      )
    },
    adminRoutes: (scope) => auditPlugin(scope, { database }),
    jobs: [
      { name: 'seal-audit', every: 'minute', run: () => seal() },
      { name: 'forget-audit', every: 'minute', run: () => forgetAudit(database, secret, AUDIT_RETENTION) },
    ],
    async close() {
      await rejections.close()
      await seal(true).catch(onError)
    },
  }
}
