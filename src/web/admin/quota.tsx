import type { UserUsage } from '../../contract/usage.ts'
import { formatBytes, percent } from '../ui/format.ts'
import type { Column } from './data-table.tsx'
import { Filter } from './field.tsx'
import { queryParameter } from './filters.tsx'
import { nameOf } from './messages.ts'
import { PagedTable } from './paged-table.tsx'
import { usePages } from './pages.ts'
import { hrefOf, route } from './route.ts'
import { admin } from './session.ts'

/** The usage of each user with its limits, the largest first. */
export function Quota() {
  const { query } = route.value
  const pages = usePages(
    async (after) => {
      const { users, next } = await admin.usage({ ...query, after })
      return { items: users, next }
    },
    { key: JSON.stringify(query), everyMs: 10_000 },
  )
  return (
    <div class="part">
      <search class="filters">
        <Filter label="User" {...queryParameter('user')} />
        <Filter label="Tenant" {...queryParameter('tenant')} />
      </search>
      <PagedTable
        pages={pages}
        label="Usage"
        empty="No user has stored files."
        more="Show more"
        columns={columns}
        keyOf={({ tenant, user }) => JSON.stringify([tenant, user])}
      />
    </div>
  )
}

const columns: Column<UserUsage>[] = [
  {
    name: 'User',
    value: nameOf,
    cell: (usage) => {
      const { user, tenant } = usage
      return (
        <a href={hrefOf('uploads', null, { user, ...(tenant !== null && { tenant }) })}>
          <bdi>{nameOf(usage)}</bdi>
        </a>
      )
    },
  },
  { name: 'Role', value: ({ role }) => role ?? 'no uploads left' },
  {
    name: 'Stored and reserved',
    value: ({ storedBytes, reservedBytes }) => storedBytes + reservedBytes,
    cell: ({ storedBytes, reservedBytes, limits }) => (
      <Meter name="Stored" used={storedBytes + reservedBytes} limit={limits?.totalBytes} format={formatBytes} />
    ),
    isNumber: true,
  },
  {
    name: 'Files',
    value: ({ storedFiles }) => storedFiles,
    cell: ({ storedFiles, limits }) => <Meter name="Files" used={storedFiles} limit={limits?.totalFiles} />,
    isNumber: true,
  },
  {
    name: 'Bytes today',
    value: ({ dayBytes }) => dayBytes,
    cell: ({ dayBytes, limits }) => (
      <Meter name="Today" used={dayBytes} limit={limits?.bytesPerDay} format={formatBytes} />
    ),
    isNumber: true,
  },
  {
    name: 'Files today',
    value: ({ dayFiles }) => dayFiles,
    cell: ({ dayFiles, limits }) => <Meter name="Files today" used={dayFiles} limit={limits?.filesPerDay} />,
    isNumber: true,
  },
  {
    name: 'Open uploads',
    value: ({ openUploads }) => openUploads,
    cell: ({ openUploads, limits }) => <Meter name="Open" used={openUploads} limit={limits?.uploadsAtOnce} />,
    isNumber: true,
  },
]

interface MeterProps {
  name: string
  used: number
  /** `null` or not given: no limit. */
  limit: number | null | undefined
  format?: (value: number) => string
}

function Meter({ name, used, limit, format = String }: MeterProps) {
  const share = limit === null || limit === undefined ? null : percent(used, limit)
  const tone = share === null ? '' : share >= 100 ? 'is-full' : share >= 80 ? 'is-near' : ''
  return (
    <div class={`meter ${tone}`}>
      {format(used)}
      {limit !== null && limit !== undefined && <span class="quiet"> of {format(limit)}</span>}
      {share !== null && (
        <progress class="line" value={Math.min(share, 100)} max={100} aria-label={`${name}: ${share} percent`} />
      )}
    </div>
  )
}
