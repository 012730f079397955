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
