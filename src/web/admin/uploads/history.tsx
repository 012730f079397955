import type { AnyUpload } from '../../../contract/admin-uploads.ts'
import { FileName } from '../../ui/file-name.tsx'
import { formatBytes } from '../../ui/format.ts'
import { stateText } from '../../ui/messages.ts'
import { When } from '../../ui/when.tsx'
import type { Column } from '../data-table.tsx'
import { Choice, Filter } from '../field.tsx'
import { Filters, instantOf, queryParameter } from '../filters.tsx'
import { failureText, nameOf } from '../messages.ts'
import { PagedTable } from '../paged-table.tsx'
import { usePages } from '../pages.ts'
import { hrefOf, route } from '../route.ts'
import { admin } from '../session.ts'

const stateNames = ['receiving', 'finishing', 'completed', 'cancelled', 'expired', 'failed'] as const
const states = [['', 'any'], ...stateNames.map((state): [string, string] => [state, stateText[state]])] as [
  string,
  string,
][]
const liveChoices = [
  ['', 'any'],
  ['true', 'uploading'],
  ['false', 'not uploading'],
] as const

/** All uploads that match the filters, newest first. */
export function History() {
  const { since, until, ...query } = route.value.query
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
    { key: JSON.stringify(route.value.query), everyMs: 5000 },
  )
  return (
    <div class="part">
      <Filters
        moreNames={['role', 'tenant', 'since', 'until', 'live']}
        more={
          <>
            <Filter label="Role" {...queryParameter('role')} />
            <Filter label="Tenant" {...queryParameter('tenant')} />
            <Choice label="Right now" choices={liveChoices} {...queryParameter('live')} />
            <Filter label="Created after" type="datetime-local" {...queryParameter('since')} />
            <Filter label="Created before" type="datetime-local" {...queryParameter('until')} />
          </>
        }
      >
        <Filter label="Name or id" type="search" hint="holiday" {...queryParameter('text')} />
        <Choice label="State" choices={states} {...queryParameter('state')} />
        <Filter label="User" {...queryParameter('user')} />
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
        <span class={`state is-${state}`}>{state === 'receiving' && !live ? 'Incomplete' : stateText[state]}</span>
        {failure && <span class="quiet">: {failureText(failure)}</span>}
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
