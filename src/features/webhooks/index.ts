import type { Feature, FeatureDeps } from '../feature.ts'
import { forgetDeliveries } from './delivery-list.ts'
import { fanOut } from './fan-out.ts'
import { watchLag } from './lag.ts'
import { webhooksPlugin } from './plugin.ts'
import { createSend } from './send.ts'
import { type Attempt, DeliveryWorker } from './worker.ts'

/** The settings of webhooks. */
export interface WebhookSettings {
  WEBHOOKS_PER_USER: number
  WEBHOOK_HTTP: boolean
  WEBHOOK_NETWORKS: string[]
  WEBHOOK_RETENTION: number
}

// Retries become due by time alone, and the deliveries of a server that died are taken by another.
const pollMs = 2000

/** Webhooks: tells endpoints of users and operators about the events of uploads. */
export function createWebhooks({
  settings,
  database,
  authorize,
  now,
  log,
  onError,
}: FeatureDeps<WebhookSettings>): Feature {
  const targets = { allowsHttp: settings.WEBHOOK_HTTP, networks: settings.WEBHOOK_NETWORKS }
  const send = createSend(targets)
  const counts = { delivered: 0, failed: 0, dead: 0, paused: 0 }
  const worker = new DeliveryWorker({ database, send, now, onAttempt, onError })
  const lag = watchLag({ database, now, onError })
  const timer = setInterval(() => worker.wake(), pollMs)
  timer.unref()

  function onAttempt({ delivery, result, outcome, endpoint }: Attempt): void {
    counts[result] += 1
    const facts = { webhookId: delivery.endpointId, uploadId: delivery.uploadId, seq: delivery.seq }
    const attempt = { ...facts, status: outcome.status, result: outcome.result, attempts: delivery.attempts }
    if (result === 'dead') log.warn(attempt, 'an event did not reach a webhook; its last attempt failed')
    else log.debug(attempt, 'an event was sent to a webhook')
    if (endpoint === 'paused') counts.paused += 1
    if (endpoint === 'paused') log.warn(facts, 'a webhook is paused')
    else if (endpoint === 'failing') log.warn(facts, 'a webhook is failing; one attempt in ten minutes')
    else if (endpoint === 'recovered') log.info(facts, 'a webhook answers again')
  }

  return {
    routes: (scope) =>
      webhooksPlugin(scope, {
        database,
        targets,
        most: settings.WEBHOOKS_PER_USER,
        send,
        wake: () => worker.wake(),
        authorizer: authorize,
        now,
      }),
    async batchListener(events) {
      if ((await fanOut(database, events, now())) > 0) worker.wake()
    },
    jobs: [
      {
        name: 'forget-webhook-deliveries',
        every: 'minute',
        run: () => forgetDeliveries(database, now(), settings.WEBHOOK_RETENTION),
      },
    ],
    counters: {
      landfall_webhook_delivered_total: { help: 'Events that reached a webhook', value: () => counts.delivered },
      landfall_webhook_failed_total: { help: 'Attempts that failed and are made again', value: () => counts.failed },
      landfall_webhook_dead_total: { help: 'Events whose last attempt failed', value: () => counts.dead },
      landfall_webhook_paused_total: {
        help: 'Webhooks that were paused because they failed for days or answered 410',
        value: () => counts.paused,
      },
    },
    gauges: {
      landfall_webhook_lag_seconds: {
        help: 'How long the oldest event for a webhook that is not paused has been due, on all servers',
        value: () => lag.seconds(),
        isShared: true,
      },
    },
    async close() {
      lag.close()
      clearInterval(timer)
      await worker.close()
    },
  }
}
