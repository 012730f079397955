import type { AnyUpload } from '../../../client/admin-types.ts'
import { When } from '../../upload/when.tsx'
import { amountWords } from '../../upload/words.ts'
import { Choice, Filter } from '../field.tsx'
import { asked, Filters, instantOf } from '../filters.tsx'
import { PagedList } from '../paged-list.tsx'
import { usePages } from '../pages.ts'
import { place } from '../place.ts'
import { admin } from '../session.ts'
import { failureWords, nameOf, stateWords } from '../words.ts'
import { RowHead } from './row-head.tsx'

const states = [['', 'any'], ...Object.entries(stateWords)] as [string, string][]
const lives = [
  ['', 'any'],
  ['true', 'being sent'],
  ['false', 'not being sent'],
] as const

/** All uploads there are, the newest first, as far as the filters let them through. */
export function History() {
  const { since, until, ...query } = place.value.query
  const pages = usePages(
    async (before) => {
      const { uploads, next } = await admin.uploads({
        ...query,
        since: instantOf(since),
        until: instantOf(until),
        before,
      })
      return { items: uploads, next }
    },
    { about: JSON.stringify(place.value.query), everyMs: 5000 },
  )
  return (
    <section class="part" aria-label="Uploads">
      <Filters
        rarer={['role', 'tenant', 'since', 'until', 'live']}
        more={
          <>
            <Filter label="Role" {...asked('role')} />
            <Filter label="Tenant" {...asked('tenant')} />
            <Choice label="Right now" choices={lives} {...asked('live')} />
            <Filter label="Begun after" type="datetime-local" {...asked('since')} />
            <Filter label="Begun before" type="datetime-local" {...asked('until')} />
          </>
        }
      >
        <Filter label="Name or id" type="search" hint="holiday" {...asked('text')} />
        <Choice label="State" choices={states} {...asked('state')} />
        <Filter label="User" {...asked('user')} />
      </Filters>
      <PagedList pages={pages} empty="There is no such upload.">
        {(upload) => <HistoryRow key={upload.id} upload={upload} />}
      </PagedList>
    </section>
  )
}

function HistoryRow({ upload }: { upload: AnyUpload }) {
  const { id, state, createdAt, failure, live } = upload
  return (
    <li class="row" data-id={id} data-state={state}>
      <RowHead upload={upload}>
        <span class={`state is-${state}`}>{live ? 'Being sent' : stateWords[state]}</span>
        <span class="any-text">{nameOf(upload)}</span>
        <span>{upload.role}</span>
        <span>{amountWords(upload, upload.received)}</span>
        {failure && <span>{failureWords(failure)}</span>}
      </RowHead>
      <span class="row-when quiet">
        <When at={createdAt} />
      </span>
    </li>
  )
}
