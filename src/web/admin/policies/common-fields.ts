/** The fields of a role that are changed most often. Text is what a person types; empty: the role does not say it itself. */
export const commonFields = [
  { name: 'maxSize', label: 'Largest file', hint: '2 GiB', kind: 'words' },
  { name: 'mediaTypes', label: 'File types', hint: 'image/*, application/pdf', kind: 'list' },
  { name: 'timeToLive', label: 'Incomplete uploads are kept for', hint: '7 days', kind: 'words' },
  { name: 'totalBytes', label: 'Storage quota', hint: '100 GiB', kind: 'words' },
  { name: 'totalFiles', label: 'Files in all', hint: '1000', kind: 'number' },
  { name: 'bytesPerDay', label: 'Bytes per day', hint: '10 GiB', kind: 'words' },
  { name: 'filesPerDay', label: 'Files per day', hint: '100', kind: 'number' },
  { name: 'uploadsAtOnce', label: 'Uploads at the same time', hint: '5', kind: 'number' },
] as const

export type CommonField = (typeof commonFields)[number]
type Json = Record<string, unknown>

/** What says that there is no limit. */
const unlimited = 'unlimited'

/** The value of `field` as a person types it. */
export function fieldText(role: Json, { name }: CommonField): string {
  const value = role[name]
  if (value === undefined) return ''
  if (value === null) return unlimited
  return Array.isArray(value) ? value.join(', ') : String(value)
}

/** `policies` with what was typed for `field` of `role`. What is wrong with it, the server says. */
export function withField(policies: Json, role: string, { name, kind }: CommonField, text: string): Json {
  const roles = rolesOf(policies)
  const { [name]: _, ...others } = { ...roles[role] }
  const said = text.trim()
  const value =
    said === unlimited
      ? null
      : kind === 'list'
        ? said.split(',').map((part) => part.trim())
        : kind === 'number' && /^\d+$/.test(said)
          ? Number(said)
          : said
  // Where the field stood it stays, so that a change is one line of the text.
  const entries = Object.entries(roles[role] ?? {}).map(([key, old]) => [key, key === name ? value : old])
  const changed =
    said === '' ? others : name in (roles[role] ?? {}) ? Object.fromEntries(entries) : { ...others, [name]: value }
  return { ...policies, roles: { ...roles, [role]: changed } }
}

/** The roles that `policies` has sections for. */
export function rolesOf(policies: Json | null): Record<string, Json> {
  const roles = policies?.['roles']
  return typeof roles === 'object' && roles !== null && !Array.isArray(roles) ? (roles as Record<string, Json>) : {}
}

/** The roles that have a section in `before` and none in `after`. */
export function removedRoles(before: Json, after: Json): string[] {
  const left = rolesOf(after)
  return Object.keys(rolesOf(before)).filter((role) => !Object.hasOwn(left, role))
}
