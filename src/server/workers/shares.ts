import type { Config } from '../../config.ts'

/** The place of a worker among those of its server. */
export interface Seat {
  /** From 1. */
  number: number
  /** How many workers there are. */
  of: number
}

// What all workers of a server may take together. REQUESTS_PER_ADDRESS and CREATIONS_PER_ADDRESS are not among them: see docs/sizing.md.
const sharedOut = [
  'MEMORY_BUDGET',
  'DATABASE_POOL',
  'REQUESTS_AT_ONCE',
  'BODIES_AT_ONCE',
  'DOWNLOADS_AT_ONCE',
  'CONNECTIONS_AT_ONCE',
  'BANDWIDTH',
] as const

/** The settings of the worker in `seat`, with its share of each limit. The shares of all workers add up to the limit. */
export function settingsOfWorker(config: Config, { number, of }: Seat): Config {
  const shares = Object.fromEntries(sharedOut.map((name) => [name, share(config[name], number, of)]))
  const perAddress = config.CONNECTIONS_PER_ADDRESS
  return {
    ...config,
    ...(shares as Pick<Config, (typeof sharedOut)[number]>),
    // Without the setting it is derived from the share of CONNECTIONS_AT_ONCE.
    CONNECTIONS_PER_ADDRESS: perAddress === undefined ? undefined : Math.max(1, share(perAddress, number, of)),
    worker: number,
  }
}

/** Zero, which means no limit, stays zero. */
function share(all: number, number: number, of: number): number {
  if (all === 0) return 0
  return Math.max(1, Math.floor(all / of) + (number <= all % of ? 1 : 0))
}
