import { hasMore, listed, listing, listingProblem, refresh, showMore } from './listing.ts'
import { More } from './more.tsx'
import { isUnderWay } from './outbox.ts'
import { UploadRow } from './upload-row.tsx'

/** What the server has of this user, newest first. What this page is sending is shown above instead. */
export function MyUploads() {
  // What was deleted stays in the server's books for a while, and is nothing to look at.
  const shown = listed.value.filter((upload) => upload.state !== 'cancelled' && !isUnderWay(upload))
  return (
    <section class="mine" aria-labelledby="mine-title">
      <div class="mine-head">
        <h2 id="mine-title" tabIndex={-1}>
          My uploads
        </h2>
        <button type="button" class="button is-quiet" onClick={() => void refresh()}>
          Refresh
        </button>
      </div>
      {listing.value === 'failed' && (
        <p class="notice is-bad" role="alert">
          {listingProblem} The list may be out of date.
        </p>
      )}
      {listing.value === 'new' && <Waiting />}
      {listing.value === 'ready' && shown.length === 0 && (
        <p class="empty quiet">
          {listed.value.some(isUnderWay)
            ? 'What is on its way appears here when it has arrived.'
            : 'Nothing here yet. What you send appears here, with the name it has in the store.'}
        </p>
      )}
      {shown.length > 0 && (
        <ul class="rows">
          {shown.map((upload) => (
            <UploadRow key={upload.id} upload={upload} />
          ))}
        </ul>
      )}
      <More has={hasMore.value} show={() => void showMore()} />
    </section>
  )
}

function Waiting() {
  return (
    <ul class="rows" aria-busy="true" aria-label="Loading">
      {[1, 2, 3].map((row) => (
        <li key={row} class="row is-ghost" />
      ))}
    </ul>
  )
}
