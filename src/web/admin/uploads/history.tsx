import type { AnyUpload } from '../../../client/admin-types.ts'
import { FileName } from '../../upload/file-name.tsx'
import { formatBytes, percent } from '../../upload/format.ts'
import { TypeIcon } from '../../upload/icons.tsx'
import { When } from '../moment.tsx'
import { usePages } from '../pages.ts'
import { hrefOf, place } from '../place.ts'
import { Problem } from '../problem.tsx'
import { admin } from '../session.ts'
import { failureWords, nameOf, stateWords } from '../words.ts'
import { Filters } from './filters.tsx'

/** All uploads there are, the newest first, as far as the filters let them through. */
export function History() {
  const { since, until, ...query } = place.value.query
  const pages = usePages(
    async (before) => {
      const { uploads, next } = await admin.uploads({ ...query, since: moment(since), until: moment(until), before })
      return { items: uploads, next }
    },
    { about: JSON.stringify(place.value.query), everyMs: 5000 },
  )
  return (
    <section class="part" aria-label="Uploads">
      <Filters />
      <Problem words={pages.problem} again={pages.again} />
      {pages.items?.length === 0 && <p class="empty quiet">There is no such upload.</p>}
      {pages.items && pages.items.length > 0 && (
        <ul class="rows">
          {pages.items.map((upload) => (
            <HistoryRow key={upload.id} upload={upload} />
          ))}
        </ul>
      )}
      {pages.hasMore && (
        <button type="button" class="button is-quiet more" onClick={pages.more}>
          Show older ones
        </button>
      )}
    </section>
  )
}

function HistoryRow({ upload }: { upload: AnyUpload }) {
  const { id, filename, state, createdAt, failure, live } = upload
  return (
    <li class="row" data-id={id} data-state={state}>
      <span class="preview">
        <TypeIcon type={upload.contentType} />
      </span>
      <div class="row-words">
        <a class="row-link" href={hrefOf('uploads', id)}>
          <FileName name={filename} />
        </a>
        <p class="facts quiet">
          <span class={`state is-${state}`}>{live ? 'Being sent' : stateWords[state]}</span>
          <span class="any-text">{nameOf(upload)}</span>
          <span>{upload.role}</span>
          <span>{sizeWords(upload)}</span>
          {failure && <span>{failureWords(failure)}</span>}
        </p>
      </div>
      <span class="row-when quiet">
        <When at={createdAt} />
      </span>
    </li>
  )
}

/** How much there is of an upload. */
export function sizeWords({ state, size, received }: Pick<AnyUpload, 'state' | 'size' | 'received'>): string {
  if (size === null) return `${formatBytes(received)} so far`
  if (state === 'completed') return formatBytes(size)
  return `${formatBytes(received)} of ${formatBytes(size)} (${percent(received, size)} %)`
}

/** What the field says is the time of this place; the server wants one that is the same everywhere. */
function moment(local: string | undefined): string | undefined {
  const date = new Date(local ?? '')
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}
