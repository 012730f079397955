import type { AnyUpload } from '../../../client/admin-types.ts'
import { FileName } from '../../upload/file-name.tsx'
import { formatBytes } from '../../upload/format.ts'
import { When } from '../../upload/when.tsx'
import { stateWords } from '../../upload/words.ts'
import type { Column } from '../data-table.tsx'
import { Choice, Filter } from '../field.tsx'
import { asked, Filters, instantOf } from '../filters.tsx'
import { PagedTable } from '../paged-table.tsx'
import { usePages } from '../pages.ts'
import { hrefOf, place } from '../place.ts'
import { admin } from '../session.ts'
import { failureWords, nameOf } from '../words.ts'

const openAndEnded = ['receiving', 'finishing', 'completed', 'cancelled', 'expired', 'failed'] as const
const states = [['', 'any'], ...openAndEnded.map((state): [string, string] => [state, stateWords[state]])] as [
  string,
  string,
][]
const lives = [
  ['', 'any'],
  ['true', 'uploading'],
  ['false', 'not uploading'],
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
    <div class="part">
      <Filters
        rarer={['role', 'tenant', 'since', 'until', 'live']}
        more={
          <>
            <Filter label="Role" {...asked('role')} />
            <Filter label="Tenant" {...asked('tenant')} />
            <Choice label="Right now" choices={lives} {...asked('live')} />
            <Filter label="Created after" type="datetime-local" {...asked('since')} />
            <Filter label="Created before" type="datetime-local" {...asked('until')} />
          </>
        }
      >
        <Filter label="Name or id" type="search" hint="holiday" {...asked('text')} />
        <Choice label="State" choices={states} {...asked('state')} />
        <Filter label="User" {...asked('user')} />
      </Filters>
      <PagedTable pages={pages} label="Uploads" empty="No upload matches." columns={columns} keyOf={({ id }) => id} />
    </div>
  )
}

const columns: Column<AnyUpload>[] = [
  {
    name: 'File',
    value: ({ filename }) => filename,
    cell: ({ id, filename }) => (
      <a class="row-link" href={hrefOf('uploads', id)}>
        <FileName name={filename} />
      </a>
    ),
  },
  {
    name: 'State',
    value: ({ state }) => state,
    cell: ({ state, live, failure }) => (
      <>
        <span class={`state is-${state}`}>{state === 'receiving' && !live ? 'Incomplete' : stateWords[state]}</span>
        {failure && <span class="quiet">: {failureWords(failure)}</span>}
      </>
    ),
  },
  { name: 'User', value: nameOf, cell: (upload) => <bdi class="any-text">{nameOf(upload)}</bdi> },
  { name: 'Role', value: ({ role }) => role },
  {
    name: 'Size',
    value: ({ size }) => size,
    cell: ({ size }) => (size === null ? 'unknown' : formatBytes(size)),
    isNumber: true,
  },
  {
    name: 'Received',
    value: ({ received }) => received,
    cell: ({ received }) => formatBytes(received),
    isNumber: true,
  },
  { name: 'Created', value: ({ createdAt }) => createdAt, cell: ({ createdAt }) => <When at={createdAt} /> },
]
