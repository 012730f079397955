/** The fields of a role that are changed most often, as text. Empty: the role does not set the field. */
export const commonFields = [
  { name: 'maxSize', label: 'Largest file', hint: '2 GiB', kind: 'text' },
  { name: 'mediaTypes', label: 'File types', hint: 'image/*, application/pdf', kind: 'list' },
  { name: 'timeToLive', label: 'Incomplete uploads are kept for', hint: '7 days', kind: 'text' },
  { name: 'totalBytes', label: 'Storage quota', hint: '100 GiB', kind: 'text' },
  { name: 'totalFiles', label: 'Files in all', hint: '1000', kind: 'number' },
  { name: 'bytesPerDay', label: 'Bytes per day', hint: '10 GiB', kind: 'text' },
  { name: 'filesPerDay', label: 'Files per day', hint: '100', kind: 'number' },
  { name: 'uploadsAtOnce', label: 'Uploads at the same time', hint: '5', kind: 'number' },
] as const

export type CommonField = (typeof commonFields)[number]
type Json = Record<string, unknown>

/** The text that means no limit. */
const unlimited = 'unlimited'

/** The value of `field` as text. */
export function fieldText(role: Json, { name }: CommonField): string {
  const value = role[name]
  if (value === undefined) return ''
  if (value === null) return unlimited
  return Array.isArray(value) ? value.join(', ') : String(value)
}

/** Returns `policies` with `text` as the value of `field` of `role`. The server validates it. */
export function withField(policies: Json, role: string, { name, kind }: CommonField, text: string): Json {
  const roles = rolesOf(policies)
  const { [name]: _, ...others } = { ...roles[role] }
  const trimmed = text.trim()
  const value =
    trimmed === unlimited
      ? null
      : kind === 'list'
        ? trimmed.split(',').map((part) => part.trim())
        : kind === 'number' && /^\d+$/.test(trimmed)
          ? Number(trimmed)
          : trimmed
  // The field keeps its position, so that a change is one line of the document.
  const entries = Object.entries(roles[role] ?? {}).map(([key, old]) => [key, key === name ? value : old])
  const changed =
    trimmed === '' ? others : name in (roles[role] ?? {}) ? Object.fromEntries(entries) : { ...others, [name]: value }
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
