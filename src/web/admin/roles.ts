import { useQuery } from './query.ts'
import { admin, isOfTenant } from './session.ts'

/** The roles of the active policies, as suggestions; none until they are loaded, and none for the admin of a tenant. */
export function useRoles(): string[] {
  const { value } = useQuery(async () => (isOfTenant() ? null : admin.policies()))
  const roles = value?.policies['roles']
  return typeof roles === 'object' && roles !== null ? Object.keys(roles) : []
}
