import { visible } from '../../ui/visible.ts'

interface RemovedRolesProps {
  roles: string[]
  confirmed: ReadonlySet<string>
  set(confirmed: ReadonlySet<string>): void
}

/** Asks to confirm each role that a change would remove: without its section, the users of a role may not upload. */
export function RemovedRoles({ roles, confirmed, set }: RemovedRolesProps) {
  if (roles.length === 0) return null
  return (
    <fieldset class="notice is-bad removed-roles">
      <legend>This removes {roles.length === 1 ? 'a role' : `${roles.length} roles`}</legend>
      {roles.map((role) => (
        <label key={role} class="check">
          <input
            type="checkbox"
            checked={confirmed.has(role)}
            onChange={(event) => {
              const next = new Set(confirmed)
              if (event.currentTarget.checked) next.add(role)
              else next.delete(role)
              set(next)
            }}
          />
          <span class="any-text">
            Remove the role <strong>{visible(role)}</strong>: its users can no longer upload
          </span>
        </label>
      ))}
    </fieldset>
  )
}
