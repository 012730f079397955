import { z } from 'zod'
import { count, duration, networks } from '../values.ts'

/** What users may have events sent to, and how long their deliveries are kept. */
export const webhooks = {
  WEBHOOKS_PER_USER: count(0, 1000).default(10).describe('The most webhooks of one user; 0 for none'),
  WEBHOOK_HTTP: z.stringbool().prefault('false').describe('Whether webhooks may be http; otherwise only https'),
  WEBHOOK_NETWORKS: networks
    .prefault('')
    .describe(
      'Private addresses and networks that webhooks may be sent to, such as 10.1.0.0/16, separated by commas; public addresses are allowed, all others are not',
    ),
  WEBHOOK_RETENTION: duration
    .prefault('30d')
    .describe('How long deliveries that ended are kept, and those that wait for a paused webhook; 0s for ever'),
}
