/*
 * A content is the bytes of one completed file: one row for one object, made by the statement that completes the upload. What readers may
 * have of it is its state, which is apart from that of the upload: `completed` is a promise to the client that sent the bytes.
 *
 *   held         → live, quarantined   no check has passed it yet
 *   live         → quarantined, gone   readers may have it
 *   quarantined  → live, gone          a check refused it, and an administrator may allow it
 *   gone                               its object was removed
 *
 * A deleted file is trashed: its content keeps its state until the object is removed, so a refused content that is restored stays refused.
 */

/** Only a `live` content is served. */
export type ContentState = NewContentState | 'quarantined' | 'gone'

/** How a content begins: `held` where a check must pass it first. */
export type NewContentState = 'held' | 'live'

/** Work that follows the completion of an upload. Its row is written by the statement that makes the content. */
export interface NewStep {
  name: string
  /** Another version of the same step is done anew. */
  version: number
  /** The content is `held` until it has passed. */
  isBlocking: boolean
}

/** How a content begins that these steps follow. */
export function newContentState(steps: readonly NewStep[]): NewContentState {
  return steps.some(({ isBlocking }) => isBlocking) ? 'held' : 'live'
}

/**
 * `waiting → running → done`, and back to `waiting` after a failure that is worth another attempt. `failed`: another attempt would not
 * help; `dead`: there were too many; `skipped`: another step refused the content.
 */
export type StepState = 'waiting' | 'running' | 'done' | 'skipped' | 'failed' | 'dead'

/** What a step that is done says of the content. */
export type StepOutcome = 'pass' | 'hold' | 'reject'
