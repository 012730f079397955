import { count, duration, size } from '../values.ts'

/** What one client, and all clients together, may take of a server. */
export const limits = {
  REQUESTS_PER_ADDRESS: count(0, 1_000_000)
    .default(12_000)
    .describe(
      'The most requests per minute from one address to one process of a server; 0 for no limit. Requests from this machine are not counted',
    ),
  CREATIONS_PER_ADDRESS: count(0, 1_000_000)
    .default(6000)
    .describe(
      'The most uploads per minute that clients at one address may create on one process of a server; 0 for no limit',
    ),
  REQUESTS_AT_ONCE: count(1, 1_000_000)
    .default(10_000)
    .describe(
      'The most requests that one server handles at once; further ones get 503. One user may have as many of them as are still free for others',
    ),
  BODIES_AT_ONCE: count(1, 1_000_000)
    .default(5000)
    .describe(
      'The most request bodies that one server receives at once; then the slowest of the user with most of them is ended, or the new request gets 503',
    ),
  BANDWIDTH: size
    .prefault('0')
    .describe('The most bytes per second that one server receives, shared equally between users; 0 for no limit'),
  AUDIT_RETENTION: duration.prefault('365d').describe('How long entries of the audit log are kept; 0s for ever'),
  CONNECTIONS_AT_ONCE: count(1, 1_000_000)
    .default(20_000)
    .describe('The most connections that one server holds at once; further ones are closed'),
  CONNECTIONS_PER_ADDRESS: count(1, 1_000_000)
    .optional()
    .describe(
      'The most connections of one address (of IPv6 a /64) at once, and behind a trusted proxy the most requests; the networks around it may have twice and four times as many. Default: an eighth of CONNECTIONS_AT_ONCE',
    ),
}
