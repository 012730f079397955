import type { UserUsage } from '../../client/admin-types.ts'
import { formatBytes, percent } from '../upload/format.ts'
import { Filter } from './field.tsx'
import { asked } from './filters.tsx'
import { PagedList } from './paged-list.tsx'
import { usePages } from './pages.ts'
import { hrefOf, place } from './place.ts'
import { admin } from './session.ts'
import { nameOf } from './words.ts'

/** Who takes how much of what they may, the largest first. */
export function Quota() {
  const { query } = place.value
  const pages = usePages(
    async (after) => {
      const { users, next } = await admin.usage({ ...query, after })
      return { items: users, next }
    },
    { about: JSON.stringify(query), everyMs: 10_000 },
  )
  return (
    <section class="part" aria-label="Quota">
      <search class="filters">
        <Filter label="User" {...asked('user')} />
        <Filter label="Tenant" {...asked('tenant')} />
      </search>
      <PagedList pages={pages} empty="Nobody takes any room." more="Show more">
        {(usage) => <UserRow key={JSON.stringify([usage.tenant, usage.user])} usage={usage} />}
      </PagedList>
    </section>
  )
}

function UserRow({ usage }: { usage: UserUsage }) {
  const { user, tenant, role, limits, storedBytes, reservedBytes } = usage
  return (
    <li class="row usage-row" data-user={user}>
      <div class="row-words">
        <a class="row-link any-text" href={hrefOf('uploads', null, { user, ...(tenant !== null && { tenant }) })}>
          <strong>{nameOf(usage)}</strong>
        </a>
        <p class="facts quiet">
          <span>{role ?? 'has no uploads any more'}</span>
          {reservedBytes > 0 && <span>{formatBytes(reservedBytes)} of it reserved</span>}
        </p>
      </div>
      <dl class="meters">
        <Meter name="In all" taken={storedBytes + reservedBytes} limit={limits?.totalBytes} write={formatBytes} />
        <Meter name="Files" taken={usage.storedFiles} limit={limits?.totalFiles} />
        <Meter name="Today" taken={usage.dayBytes} limit={limits?.bytesPerDay} write={formatBytes} />
        <Meter name="Files today" taken={usage.dayFiles} limit={limits?.filesPerDay} />
        <Meter name="Open" taken={usage.openUploads} limit={limits?.uploadsAtOnce} />
      </dl>
    </li>
  )
}

interface MeterProps {
  name: string
  taken: number
  /** `null` or not given: none. */
  limit: number | null | undefined
  write?: (value: number) => string
}

function Meter({ name, taken, limit, write = String }: MeterProps) {
  const share = limit === null || limit === undefined ? null : percent(taken, limit)
  const tone = share === null ? '' : share >= 100 ? 'is-full' : share >= 80 ? 'is-near' : ''
  return (
    <div class={`meter ${tone}`}>
      <dt>{name}</dt>
      <dd>
        {write(taken)}
        {limit !== null && limit !== undefined && <span class="quiet"> of {write(limit)}</span>}
      </dd>
      {share !== null && (
        <dd class="meter-bar">
          <progress class="line" value={Math.min(share, 100)} max={100} aria-label={`${name}: ${share} percent`} />
        </dd>
      )}
    </div>
  )
}
