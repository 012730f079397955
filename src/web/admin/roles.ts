import { useAnswer } from './answer.ts'
import { admin } from './session.ts'

/** The roles that the policies know, to choose from; none until they are told. */
export function useRoles(): string[] {
  const { value } = useAnswer(admin.policies)
  const roles = value?.policies['roles']
  return typeof roles === 'object' && roles !== null ? Object.keys(roles) : []
}
