import type { FileFacts } from './memory.ts'
import type { Failure } from './request-error.ts'

// A transfer is one file on its way out of this browser; the upload it fills lives on the server.
//
//   queued → sending → finishing → completed
//              ↓ ↑         ↓
//            waiting · unauthorized · paused      (go on at the recorded offset)
//            elsewhere                            (another tab or device sends it; goes on when that has stopped)
//            failed                               (goes on only when a person says so)
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

/** A browser's File, or something that can be read like one. */
export type SendableFile = FileFacts & {
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> }
}

/** What a page shows of a transfer; a new object whenever something in it changed. */
export interface TransferView {
  id: string
  file: SendableFile
  state: TransferState
  /** Files that were given together have the same. */
  batch: string | null
  /** When it was given: milliseconds since 1970. */
  addedAt: number
  /** Bytes that the server has confirmed: they are safe. */
  confirmed: number
  /** Bytes on the server or on their way to it, as far as the browser has handed them on. */
  sent: number
  /** Who sends it in the state `elsewhere`. */
  sender: 'tab' | 'device' | null
  /** Where this browser went on, when it did not begin at zero. */
  resumedAt: number
  /** Bytes a second. */
  speed: number | null
  timeLeftMs: number | null
  /** Why it waits or failed. */
  failure: Failure | null
  /** When it tries again by itself; `null` while it waits for the network to come back. */
  retryAt: number | null
  /** `null` until the server knows of the upload. */
  url: string | null
  /** The server had given the earlier upload up, so this one began anew. */
  isAnew: boolean
  /** How long it took, pauses and waits left out. */
  tookMs: number | null
}

/** Whether pausing means anything in this state. */
export function canPause(state: TransferState): boolean {
  return ['queued', 'sending', 'finishing', 'waiting', 'unauthorized', 'elsewhere'].includes(state)
}

/** Whether it is over, well or badly. */
export function isOver(state: TransferState): boolean {
  return state === 'completed' || state === 'cancelled' || state === 'failed'
}
