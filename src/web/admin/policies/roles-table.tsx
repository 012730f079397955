import type { PolicyJson } from '../../../contract/policies.ts'
import { count } from '../messages.ts'

type Rules = Record<string, unknown>

const columns: [field: string, label: string][] = [
  ['maxSize', 'Largest file'],
  ['mediaTypes', 'Types'],
  ['totalBytes', 'Storage'],
  ['bytesPerDay', 'Per day'],
  ['uploadsAtOnce', 'At the same time'],
  ['bytesPerSecond', 'Speed'],
  ['timeToLive', 'Time to live'],
]

/** The most important limits of all roles, with the default for fields that a role does not set. */
export function RolesTable({ policies }: { policies: PolicyJson }) {
  const fallback = rulesIn(policies['default'])
  const roles = Object.entries(rulesIn(policies['roles'])) as [string, Rules][]
  const special = [
    [Object.keys(rulesIn(policies['tenants'])).length, 'tenant'],
    [Object.keys(rulesIn(policies['users'])).length, 'user'],
  ] as const
  const others = special.filter(([number]) => number > 0).map(([number, noun]) => count(number, noun))
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a table wider than the screen is scrolled with the arrow keys */}
      <section class="table-frame" aria-label="Limits of roles" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Role</th>
              {columns.map(([field, label]) => (
                <th key={field} scope="col">
                  {label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {roles.map(([role, rules]) => (
              <tr key={role}>
                <th scope="row">{role}</th>
                {columns.map(([field]) => (
                  <Value key={field} own={rules[field]} fallback={fallback[field]} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {others.length > 0 && (
        <p class="quiet small">{others.join(' and ')} with limits of their own, in the text below.</p>
      )}
    </>
  )
}

function Value({ own, fallback }: { own: unknown; fallback: unknown }) {
  const value = own === undefined ? fallback : own
  const isNone = value === undefined || value === null
  return (
    <td class={isNone ? 'quiet' : ''} title={Array.isArray(value) ? value.join(', ') : undefined}>
      {isNone ? 'any' : Array.isArray(value) ? shortened(value) : String(value)}
    </td>
  )
}

function shortened(types: unknown[]): string {
  return types.length > 3 ? `${types.slice(0, 2).join(', ')} + ${types.length - 2}` : types.join(', ')
}

function rulesIn(json: unknown): Rules {
  return typeof json === 'object' && json !== null ? (json as Rules) : {}
}
