import type { WebhookBody } from '../../contract/webhooks.ts'
import type { Message } from './send.ts'
import { signedHeaders } from './signature.ts'

/** An event and the endpoint that it is sent to. */
export interface Addressed {
  url: string
  secrets: string[]
  eventId: number
  type: string
  uploadId: string
  seq: number
  /** Numbers of earlier events of the upload that never arrived. */
  missingSeq: number[]
  data: Record<string, unknown>
  happenedAt: Date
}

/** The `webhook-id` of an event: the same in every attempt and in a replay, so that receivers recognize repetitions. */
export function webhookIdOf(eventId: number): string {
  return `evt_${eventId}`
}

/** The message about an event, signed at `now`. Of the event's data it has what subscribers may see, which excludes the object key. */
export function messageOf(event: Addressed, now: Date): Message {
  const { ownerId, tenant, filename, contentType, category, size, failure } = event.data as WebhookBody['data']
  const { uploadId, seq, missingSeq } = event
  const body: WebhookBody = {
    type: event.type,
    timestamp: event.happenedAt.toISOString(),
    data: { uploadId, seq, missingSeq, ownerId, tenant, filename, contentType, category, size, failure },
  }
  return signed(event, webhookIdOf(event.eventId), body, now)
}

/** A message that says nothing, for an owner who wants to see whether it arrives. */
export function testMessage(endpoint: Pick<Addressed, 'url' | 'secrets'>, id: string, now: Date): Message {
  return signed(endpoint, `test_${id}`, { type: 'webhook.test', timestamp: now.toISOString(), data: {} }, now)
}

function signed({ url, secrets }: Pick<Addressed, 'url' | 'secrets'>, id: string, body: object, now: Date): Message {
  const text = JSON.stringify(body)
  return { url, headers: signedHeaders(id, now, text, secrets), body: text }
}
