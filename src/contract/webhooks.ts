import { z } from 'zod'

/** The types of event that an endpoint can receive. */
export const webhookEvents = [
  'upload.created',
  'upload.completed',
  'upload.cancelled',
  'upload.expired',
  'upload.failed',
  'file.available',
  'file.quarantined',
] as const

/** The longest URL of an endpoint. */
export const maxUrlLength = 2048

const url = z.string().min(1).max(maxUrlLength).describe('Where events are sent, with POST')
const events = z
  .array(z.enum(webhookEvents))
  .max(webhookEvents.length)
  .describe('The types of event that it receives; empty: all')
const reach = z
  .enum(['own', 'all'])
  .describe('own: events of the uploads of its owner; all: of every upload that the administrator who creates it sees')

export const createWebhook = z.object({ url, events: events.default([]), reach: reach.default('own') })
export const changeWebhook = z.object({
  url: url.optional(),
  events: events.optional(),
  state: z
    .enum(['on', 'paused'])
    .optional()
    .describe('paused: events wait; on: they are sent again, the waiting ones first'),
})

export const webhook = z
  .object({
    id: z.string(),
    url,
    events,
    reach,
    ownerId: z.string(),
    tenant: z.string().nullable(),
    state: z
      .enum(['on', 'failing', 'paused'])
      .describe('failing: one attempt in ten minutes until one succeeds; paused: no attempts, events wait'),
    pausedBecause: z
      .enum(['request', 'gone', 'failing'])
      .nullable()
      .describe('request: as its owner asked; gone: it answered 410; failing: it failed for five days'),
    failingSince: z.iso.datetime().nullable().describe('The first failure since its last success'),
    oldSecretUntil: z.iso
      .datetime()
      .nullable()
      .describe('Until when events are signed with the previous secret as well'),
    createdAt: z.iso.datetime(),
  })
  .describe('An endpoint without its secret')

const secret = z.string().describe('The secret that signs events (whsec_…). It is never shown again')
export const createdWebhook = webhook.extend({ secret })
export const rotatedWebhook = webhook.extend({ secret })
export const webhooks = z.object({ webhooks: z.array(webhook) })
export const webhooksQuery = z.object({
  all: z.boolean().default(false).describe('The endpoints of all users, for administrators'),
})

export const webhookTest = z
  .object({
    result: z
      .enum(['answered', 'timeout', 'unreachable', 'address-refused', 'aborted'])
      .describe('address-refused: its host is at an address that this server does not send to'),
    status: z.int().nullable().describe('The status of its answer; null: there was none'),
    ms: z.int().describe('How long it took'),
  })
  .describe('What came of a test event')

export const deliveryStates = ['waiting', 'sending', 'delivered', 'dead'] as const
export const webhookDelivery = z
  .object({
    id: z.int(),
    webhookId: z.string().describe('The header webhook-id of every attempt'),
    type: z.enum(webhookEvents),
    uploadId: z.string(),
    seq: z.int().describe('The number of the event among those of its upload'),
    state: z.enum(deliveryStates).describe('dead: every attempt failed'),
    attempts: z.int(),
    nextAt: z.iso.datetime().nullable().describe('When it is sent next; null: it is not'),
    deliveredAt: z.iso.datetime().nullable(),
    lastStatus: z.int().nullable().describe('The status of the last answer'),
    lastMs: z.int().nullable(),
    lastError: z.string().nullable().describe('Why the last attempt had no answer'),
    createdAt: z.iso.datetime(),
  })
  .describe('An event on its way to an endpoint')

export const webhookDeliveries = z.object({
  deliveries: z.array(webhookDelivery),
  next: z.int().nullable().describe('Pass it as `before` to get the next page; null on the last page'),
})
export const webhookDeliveriesQuery = z.object({
  state: z.enum(deliveryStates).optional(),
  limit: z.int().min(1).max(200).default(50).describe('Deliveries per page'),
  before: z.int().min(1).optional().describe('`next` of the previous page'),
})

/** The most events that one replay sends. */
export const maxReplayed = 1000
export const replayWebhook = z.object({
  since: z.iso.datetime({ offset: true }).describe('Events from this time on'),
  until: z.iso.datetime({ offset: true }).optional().describe('Events before this time; default: to the newest'),
  only: z
    .enum(['dead', 'all', 'upload'])
    .default('dead')
    .describe('dead: events whose attempts all failed; all: every event; upload: every event of `uploadId`'),
  uploadId: z.uuid().optional(),
})
export const replayed = z.object({
  replayed: z.int().describe('Events that are sent again'),
  next: z.iso.datetime().nullable().describe('Pass it as `since` to replay the rest; null: there is no more'),
})

export const byWebhookId = z.object({ id: z.uuid() })
export const byDeliveryId = z.object({ id: z.uuid(), deliveryId: z.coerce.number().int().min(1) })

/** What an endpoint receives. */
export const webhookBody = z.object({
  type: z.string(),
  timestamp: z.iso.datetime().describe('When it happened'),
  data: z.object({
    uploadId: z.string(),
    seq: z.int(),
    missingSeq: z
      .array(z.int())
      .describe('Numbers of earlier events of the upload whose attempts all failed, so that they never arrived'),
    ownerId: z.string(),
    tenant: z.string().nullable(),
    filename: z.string(),
    contentType: z.string(),
    category: z.string(),
    size: z.int().nullable(),
    failure: z.string().nullable(),
  }),
})

export type CreateWebhook = z.output<typeof createWebhook>
export type ChangeWebhook = z.output<typeof changeWebhook>
export type Webhook = z.output<typeof webhook>
export type CreatedWebhook = z.output<typeof createdWebhook>
export type Webhooks = z.output<typeof webhooks>
export type WebhooksQuery = z.output<typeof webhooksQuery>
export type WebhookTest = z.output<typeof webhookTest>
export type WebhookDelivery = z.output<typeof webhookDelivery>
export type WebhookDeliveries = z.output<typeof webhookDeliveries>
export type WebhookDeliveriesQuery = z.output<typeof webhookDeliveriesQuery>
export type ReplayWebhook = z.output<typeof replayWebhook>
export type Replayed = z.output<typeof replayed>
export type ByWebhookId = z.output<typeof byWebhookId>
export type ByDeliveryId = z.output<typeof byDeliveryId>
export type WebhookBody = z.output<typeof webhookBody>
