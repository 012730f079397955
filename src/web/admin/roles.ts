import { useQuery } from './query.ts'
import { admin, isOfTenant } from './session.ts'

/** The roles that the policies know, to choose from; none until they are told, and none for the admin of a tenant. */
export function useRoles(): string[] {
  const { value } = useQuery(async () => (isOfTenant() ? null : admin.policies()))
  const roles = value?.policies['roles']
  return typeof roles === 'object' && roles !== null ? Object.keys(roles) : []
}
