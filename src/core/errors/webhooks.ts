import { defineError } from './define.ts'

/** What the endpoints of webhooks answer. */
export const webhookErrors = {
  webhookNotFound: defineError('NOT_FOUND', 'There is no such webhook.'),
  webhookDeliveryNotFound: defineError('NOT_FOUND', 'The webhook has no such delivery.'),
  webhookUrlInvalid: defineError('INVALID_FIELD', ({ reason }: { reason: string }) => `url ${reason}.`),
  webhookUploadMissing: defineError('MISSING_FIELD', 'uploadId must name the upload whose events are sent again.'),
  tooManyWebhooks: defineError(
    'QUOTA_EXCEEDED',
    ({ most }: { most: number }) => `You may have at most ${most} webhooks. Delete one, then try again.`,
  ),
  webhookTestRunning: defineError(
    'RATE_LIMITED',
    ({ retryAfter }: { retryAfter: number }) =>
      `A test event is on its way already. Try again in ${retryAfter} seconds.`,
  ),
}
