import {
  byDeliveryId,
  byWebhookId,
  changeWebhook,
  createdWebhook,
  createWebhook,
  replayed,
  replayWebhook,
  rotatedWebhook,
  type Webhook,
  webhook,
  webhookDeliveries,
  webhookDeliveriesQuery,
  webhooks,
  webhooksQuery,
  webhookTest,
} from '../../contract/webhooks.ts'
import { jsonSchema } from '../../http/api/json-schema.ts'
import type { Endpoint } from './endpoints.ts'

const tags = ['Webhooks']
const params = jsonSchema(byWebhookId, 'input')
const noContent = { type: 'null', description: 'Done' }

/** The routes as Fastify and OpenAPI read them. */
export const schemas = {
  create: {
    tags,
    summary: 'Create a webhook: an endpoint that receives the events of uploads',
    description:
      'Events are sent as Standard Webhooks: at least once, with the same webhook-id each time, and in order for each upload.',
    body: jsonSchema(createWebhook, 'input'),
    response: { 201: jsonSchema(createdWebhook, 'output') },
  },
  list: {
    tags,
    summary: 'My webhooks, newest first',
    querystring: jsonSchema(webhooksQuery, 'input'),
    response: { 200: jsonSchema(webhooks, 'output') },
  },
  get: {
    tags,
    summary: 'One of my webhooks',
    params,
    response: { 200: jsonSchema(webhook, 'output') },
  },
  change: {
    tags,
    summary: 'Change a webhook, pause it, or switch it on again',
    params,
    body: jsonSchema(changeWebhook, 'input'),
    response: { 200: jsonSchema(webhook, 'output') },
  },
  remove: {
    tags,
    summary: 'Delete a webhook with its deliveries',
    params,
    response: { 204: noContent },
  },
  rotate: {
    tags,
    summary: 'Replace the secret of a webhook',
    description: 'For a day every message has two signatures: of the new secret and of the previous one.',
    params,
    response: { 200: jsonSchema(rotatedWebhook, 'output') },
  },
  test: {
    tags,
    summary: 'Send a test event now',
    params,
    response: { 200: jsonSchema(webhookTest, 'output') },
  },
  deliveries: {
    tags,
    summary: 'The deliveries of a webhook, newest event first',
    params,
    querystring: jsonSchema(webhookDeliveriesQuery, 'input'),
    response: { 200: jsonSchema(webhookDeliveries, 'output') },
  },
  replay: {
    tags,
    summary: 'Send events of a time range again',
    description: 'At most 1,000 events, ten a second; they keep their webhook-id. `next` says where to go on.',
    params,
    body: jsonSchema(replayWebhook, 'input'),
    response: { 202: jsonSchema(replayed, 'output') },
  },
  retry: {
    tags,
    summary: 'Send one event again, at once',
    params: jsonSchema(byDeliveryId, 'input'),
    response: { 202: noContent },
  },
}

/** An endpoint as the API returns it. */
export function viewOf({ oldUntil, failingSince, createdAt, events, ...endpoint }: Endpoint): Webhook {
  return {
    ...endpoint,
    events: events as Webhook['events'],
    failingSince: failingSince?.toISOString() ?? null,
    oldSecretUntil: oldUntil?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
  }
}
