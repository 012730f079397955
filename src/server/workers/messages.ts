import type { Snapshot } from '../../telemetry/snapshots.ts'

/** What a worker tells the primary. */
export type FromWorker =
  | { type: 'listening' }
  /** It cannot start, and ends. */
  | { type: 'failed'; reason: string }
  /** Asks for the snapshots of all others; `own` is its own one. */
  | { type: 'collect'; id: number; own: Snapshot }
  | { type: 'snapshot'; id: number; snapshot: Snapshot }

/** What the primary tells a worker. */
export type ToWorker =
  /** Asks for its snapshot. */
  { type: 'snapshot'; id: number } | { type: 'collected'; id: number; snapshots: Snapshot[] }
