import type { Seat } from './shares.ts'

/** What the primary starts a worker with. */
export interface Assignment extends Seat {
  /** No worker of this server has listened yet. */
  isFirst: boolean
}

/** The variable that holds the `Assignment`, as JSON. */
export const assignmentVariable = 'LANDFALL_WORKER'
