import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type {
  ByDeliveryId,
  ByWebhookId,
  ChangeWebhook,
  CreatedWebhook,
  CreateWebhook,
  Replayed,
  ReplayWebhook,
  Webhook,
  WebhookDeliveries,
  WebhookDeliveriesQuery,
  Webhooks,
  WebhooksQuery,
  WebhookTest,
} from '../../contract/webhooks.ts'
import { authorizeCollection } from '../../core/access/access.ts'
import type { Authorizer } from '../../core/access/authorization.ts'
import { errors } from '../../core/errors/errors.ts'
import { createFairShare } from '../../core/fair-share.ts'
import type { Database } from '../../db/open.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { readPage } from '../../http/api/page.ts'
import { parseTime } from '../../http/api/time.ts'
import { listDeliveries } from './delivery-list.ts'
import {
  changeOwnEndpoint,
  createEndpoint,
  findOwnEndpoint,
  listOwnEndpoints,
  removeOwnEndpoint,
  rotateOwnSecret,
} from './endpoints.ts'
import { testMessage } from './message.ts'
import { replay, retryDelivery } from './replay.ts'
import { schemas, viewOf } from './schemas.ts'
import type { Send } from './send.ts'
import { problemOfUrl, type Targets } from './url.ts'

export interface WebhooksOptions {
  database: Database
  targets: Targets
  /** The most endpoints of one owner. */
  most: number
  send: Send
  /** Called when deliveries became due. */
  wake(): void
  authorizer: Authorizer
  now(): Date
}

interface ById {
  Params: ByWebhookId
}

const testsAtOnce = 20

/** `/webhooks`: the endpoints of the client; for administrators those of all users that they administer. Needs `request.actor`. */
export async function webhooksPlugin(app: FastifyInstance, options: WebhooksOptions): Promise<void> {
  const { database, targets, most, send, wake, authorizer, now } = options
  const tests = createFairShare(testsAtOnce, 1)
  const closing = new AbortController()
  sendNoStore(app)
  app.addHook('preClose', async () => closing.abort())
  app.addHook('preHandler', async ({ actor }) => {
    authorizeCollection(actor, 'subscribe')
    await authorizer({ actor, action: 'subscribe' })
  })
  const config = { actions: ['subscribe'] } as const

  app.post<{ Body: CreateWebhook }>(
    '/webhooks',
    { schema: schemas.create, config: { ...config, errors: ['QUOTA_EXCEEDED'] } },
    async ({ actor, body }, reply) => {
      assertUrl(body.url)
      if (body.reach === 'all' && !actor.isAdmin) throw errors.adminsOnly()
      const { endpoint, secret } = await createEndpoint(database, actor, body, { now: now(), most })
      return reply.code(201).send({ ...viewOf(endpoint), secret } satisfies CreatedWebhook)
    },
  )

  app.get<{ Querystring: WebhooksQuery }>(
    '/webhooks',
    { schema: schemas.list, config },
    async ({ actor, query }): Promise<Webhooks> => {
      if (query.all && !actor.isAdmin) throw errors.adminsOnly()
      return { webhooks: (await listOwnEndpoints(database, actor, query.all)).map(viewOf) }
    },
  )

  app.get<ById>('/webhooks/:id', { schema: schemas.get, config }, async ({ actor, params }): Promise<Webhook> => {
    return viewOf((await findOwnEndpoint(database, actor, params.id, now())).endpoint)
  })

  app.patch<ById & { Body: ChangeWebhook }>(
    '/webhooks/:id',
    { schema: schemas.change, config },
    async ({ actor, params, body }): Promise<Webhook> => {
      if (body.url !== undefined) assertUrl(body.url)
      const changed = await changeOwnEndpoint(database, actor, params.id, body)
      wake()
      return viewOf(changed)
    },
  )

  app.delete<ById>('/webhooks/:id', { schema: schemas.remove, config }, async ({ actor, params }, reply) => {
    await removeOwnEndpoint(database, actor, params.id)
    return reply.code(204).send()
  })

  app.post<ById>(
    '/webhooks/:id/secret',
    { schema: schemas.rotate, config },
    async ({ actor, params }): Promise<CreatedWebhook> => {
      const { endpoint, secret } = await rotateOwnSecret(database, actor, params.id, now())
      return { ...viewOf(endpoint), secret }
    },
  )

  app.post<ById>(
    '/webhooks/:id/test',
    { schema: schemas.test, config },
    async ({ actor, params }): Promise<WebhookTest> => {
      const { endpoint, secrets } = await findOwnEndpoint(database, actor, params.id, now())
      // One at a time, so that the server is no tool to load others with.
      const release = tests.take(endpoint.id)
      if (!release) throw errors.webhookTestRunning({ retryAfter: 5 })
      try {
        const message = testMessage({ url: endpoint.url, secrets }, randomUUID(), now())
        const { result, status, ms } = await send(message, closing.signal)
        return { result, status, ms }
      } finally {
        release()
      }
    },
  )

  app.get<ById & { Querystring: WebhookDeliveriesQuery }>(
    '/webhooks/:id/deliveries',
    { schema: schemas.deliveries, config },
    async ({ actor, params, query }): Promise<WebhookDeliveries> => {
      const { endpoint } = await findOwnEndpoint(database, actor, params.id, now())
      const find = (limit: number) => listDeliveries(database, endpoint.id, { ...query, limit })
      const { items, next } = await readPage(query.limit, find, ({ eventId }) => eventId)
      return { deliveries: items.map(({ view }) => view), next }
    },
  )

  app.post<ById & { Body: ReplayWebhook }>(
    '/webhooks/:id/replay',
    { schema: schemas.replay, config },
    async ({ actor, params, body }, reply) => {
      const { endpoint } = await findOwnEndpoint(database, actor, params.id, now())
      const range = { since: parseTime(body.since)!, until: parseTime(body.until) ?? 'infinity' }
      const started = await replay(database, actor, endpoint.id, range, chosenBy(body), now())
      wake()
      const next = started.next?.toISOString() ?? null
      return reply.code(202).send({ replayed: started.replayed, next } satisfies Replayed)
    },
  )

  app.post<{ Params: ByDeliveryId }>(
    '/webhooks/:id/deliveries/:deliveryId/retry',
    { schema: schemas.retry, config },
    async ({ actor, params }, reply) => {
      const { endpoint } = await findOwnEndpoint(database, actor, params.id, now())
      if (!(await retryDelivery(database, endpoint.id, params.deliveryId, now())))
        throw errors.webhookDeliveryNotFound()
      wake()
      return reply.code(202).send()
    },
  )

  function assertUrl(url: string): void {
    const reason = problemOfUrl(url, targets)
    if (reason !== null) throw errors.webhookUrlInvalid({ reason })
  }
}

function chosenBy({ only, uploadId }: ReplayWebhook) {
  if (only !== 'upload') return { only }
  if (uploadId === undefined) throw errors.webhookUploadMissing()
  return { only, uploadId }
}
