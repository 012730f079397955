import type { Peers, Snapshot } from '../../telemetry/snapshots.ts'
import { readConfig } from '../environment.ts'
import { reasonFor } from '../explain.ts'
import { runServer } from '../run-server.ts'
import type { Serving } from '../serving.ts'
import { type Assignment, assignmentVariable } from './assignment.ts'
import type { FromWorker, ToWorker } from './messages.ts'
import { settingsOfWorker } from './shares.ts'

/** Serves as one worker of a server. Resolves when requests are answered; tells the primary about that, or about why it cannot serve. */
export async function runWorker(): Promise<Serving> {
  const assignment: Assignment = JSON.parse(process.env[assignmentVariable]!)
  const config = settingsOfWorker(readConfig(), assignment)
  const serving = await runServer(config, { isBannerWanted: assignment.isFirst, peers: peersOf(), fail })
  tell({ type: 'listening' })
  return serving
}

/** The primary prints the reason, once for all workers. */
function fail(thrown: unknown): Promise<never> {
  return new Promise(() => tell({ type: 'failed', reason: reasonFor(thrown) }, () => process.exit(1)))
}

/** Reaches the other workers through the primary. */
function peersOf(): Peers {
  const asked = new Map<number, (snapshots: Snapshot[]) => void>()
  let lastId = 0
  let take: (() => Promise<Snapshot>) | null = null
  process.on('message', (message: ToWorker) => {
    if (message.type === 'collected') {
      asked.get(message.id)?.(message.snapshots)
      asked.delete(message.id)
    } else if (message.type === 'snapshot') {
      void take?.().then((snapshot) => tell({ type: 'snapshot', id: message.id, snapshot }))
    }
  })
  return {
    offer(given) {
      take = given
    },
    collect: (own) =>
      new Promise((resolve) => {
        lastId += 1
        asked.set(lastId, resolve)
        tell({ type: 'collect', id: lastId, own })
      }),
  }
}

/** A worker whose primary is gone ends by itself, so an error of sending needs no answer. */
function tell(message: FromWorker, then: () => void = () => {}): void {
  process.send?.(message, then)
}
