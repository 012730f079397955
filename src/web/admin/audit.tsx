import type { AuditEntry } from '../../contract/audit.ts'
import { visible } from '../ui/visible.ts'
import type { Column } from './data-table.tsx'
import { Choice, Filter } from './field.tsx'
import { Filters, instantOf, queryParameter } from './filters.tsx'
import { actionNames, actionText, nameOf } from './messages.ts'
import { Timestamp } from './moment.tsx'
import { PagedTable } from './paged-table.tsx'
import { usePages } from './pages.ts'
import { hrefOf, route } from './route.ts'
import { admin } from './session.ts'

const results = [
  ['', 'any'],
  ['true', 'allowed'],
  ['false', 'refused'],
] as const
const actions: [string, string][] = [['', 'any'], ...actionNames.map((name): [string, string] => [name, name])]
const moreNames = ['code', 'rule', 'address', 'key', 'upload', 'tenant', 'since', 'until']

/** The audit log: actions and refused requests, with their users. */
export function Audit() {
  const { query } = route.value
  const pages = usePages(
    async (before) => {
      const { entries, next } = await admin.audit({
        ...query,
        since: instantOf(query['since']),
        until: instantOf(query['until']),
        before,
      })
      return { items: entries, next }
    },
    { key: JSON.stringify(query), everyMs: 5000 },
  )
  return (
    <div class="part">
      <Filters
        moreNames={moreNames}
        more={
          <>
            <Filter label="Code" hint="QUOTA_EXCEEDED" {...queryParameter('code')} />
            <Filter label="Rule" hint="maxSize" {...queryParameter('rule')} />
            <Filter label="From address" {...queryParameter('address')} />
            <Filter label="Key (id)" {...queryParameter('key')} />
            <Filter label="Upload (id)" {...queryParameter('upload')} />
            <Filter label="Tenant" {...queryParameter('tenant')} />
            <Filter label="After" type="datetime-local" {...queryParameter('since')} />
            <Filter label="Before" type="datetime-local" {...queryParameter('until')} />
          </>
        }
      >
        <Filter label="User" {...queryParameter('actor')} />
        <Choice label="Action" choices={actions} {...queryParameter('action')} />
        <Choice label="Result" choices={results} {...queryParameter('allowed')} />
      </Filters>
      <PagedTable
        pages={pages}
        label="Audit log"
        empty="No entry matches."
        columns={columns}
        keyOf={({ id }) => id}
        rowClass={({ allowed }) => `audit-row ${allowed ? '' : 'is-refused'}`}
      />
    </div>
  )
}

const columns: Column<AuditEntry>[] = [
  { name: 'Time', value: ({ at }) => at, cell: ({ at }) => <Timestamp at={at} /> },
  {
    name: 'User',
    value: ({ actor, tenant, allowed }) =>
      actor === null && !allowed ? 'an unknown user' : nameOf({ user: actor, tenant }),
    cell: ({ actor, tenant, role, allowed }) => (
      <>
        <bdi>{actor === null && !allowed ? 'an unknown user' : nameOf({ user: actor, tenant })}</bdi>
        {role && <span class="quiet"> ({visible(role)})</span>}
      </>
    ),
  },
  {
    name: 'Action',
    value: ({ action }) => action,
    cell: ({ action, target, times, note }) => (
      <span class="any-text">
        {actionText(action)}
        {target && ` ${/^\d+$/.test(target) ? `to version ${target}` : visible(target).slice(0, 8)}`}
        {times > 1 && <span class="quiet"> {times} times</span>}
        {note && <span class="quiet">: {visible(note)}</span>}
      </span>
    ),
  },
  {
    name: 'Result',
    value: ({ allowed, code, rule }) => (allowed ? 'allowed' : [code, rule].filter(Boolean).join(' by ') || 'refused'),
    cell: ({ allowed, code, rule }) =>
      allowed ? (
        'allowed'
      ) : (
        <span class="state is-failed">
          {code ?? 'refused'}
          {rule && ` by ${rule}`}
        </span>
      ),
  },
  {
    name: 'Upload',
    value: ({ upload }) => upload,
    cell: ({ upload }) => upload && <a href={hrefOf('uploads', upload)}>{upload.slice(0, 8)}</a>,
  },
  {
    name: 'Key',
    value: ({ key }) => key,
    cell: ({ key }) => key && <a href={hrefOf('audit', null, { key })}>{key.slice(0, 8)}</a>,
  },
  { name: 'Address', value: ({ address }) => address },
  {
    name: 'Client',
    value: ({ agent }) => agent,
    cell: ({ agent }) =>
      agent && (
        <span class="agent" title={visible(agent)}>
          {visible(agent)}
        </span>
      ),
  },
]
