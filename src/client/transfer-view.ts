import type { FileFacts } from './memory.ts'
import type { Failure } from './request-error.ts'

// A transfer sends one file from this browser to an upload on the server.
//
//   queued → sending → finishing → completed
//              ↓ ↑         ↓
//            waiting · unauthorized · paused      (resume at the server's offset)
//            elsewhere                            (another tab or device sends it; resumes when that has stopped)
//            failed                               (resumes only when the user retries)
//            cancelled

export type TransferState =
  | 'queued'
  | 'sending'
  | 'finishing'
  | 'waiting'
  | 'unauthorized'
  | 'paused'
  | 'elsewhere'
  | 'completed'
  | 'failed'
  | 'cancelled'

/** A browser's File, or an object that can be read like one. */
export type SendableFile = FileFacts & {
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> }
}

/** What a page shows of a transfer; every change creates a new object. */
export interface TransferView {
  id: string
  file: SendableFile
  state: TransferState
  /** Shared by files that were added together. */
  batch: string | null
  /** When the file was added: milliseconds since 1970. */
  addedAt: number
  /** Bytes that the server has confirmed as stored. */
  confirmed: number
  /** Bytes that the browser has sent, confirmed or not. */
  sent: number
  /** What sends the file in the state `elsewhere`. */
  sender: 'tab' | 'device' | null
  /** The offset at which this browser resumed; 0 when it started at zero. */
  resumedAt: number
  /** Bytes per second. */
  speed: number | null
  timeLeftMs: number | null
  /** Why the transfer waits or has failed. */
  failure: Failure | null
  /** When it retries by itself; `null` while the browser is offline. */
  retryAt: number | null
  /** URL of the upload; `null` until the server has created it. */
  url: string | null
  /** The server no longer had the earlier upload, so this one started at zero. */
  isRestarted: boolean
  /** Time spent sending, without pauses and waits. */
  durationMs: number | null
}

/** Whether a transfer in this state can be paused. */
export function canPause(state: TransferState): boolean {
  return ['queued', 'sending', 'finishing', 'waiting', 'unauthorized', 'elsewhere'].includes(state)
}

/** Whether a transfer in this state has ended, successfully or not. */
export function isOver(state: TransferState): boolean {
  return state === 'completed' || state === 'cancelled' || state === 'failed'
}
