import type {
  Activity,
  AnyUpload,
  ApiKey,
  AuditEntry,
  CheckedPolicies,
  CreateKey,
  ExplainQuery,
  Explanation,
  OneUpload,
  PolicyChange,
  PolicyJson,
  PolicyVersion,
  Summary,
  UserUsage,
} from './admin-types.ts'
import { asFolder, createRequest } from './request.ts'

/** What is asked of a list; empty values are not asked. */
export type Query = Record<string, string | number | boolean | null | undefined>

export type AdminAction = 'cancel' | 'finish' | 'expire'

/** The API for those who run the server. Everything throws `Refusal` when it does not work. */
export interface AdminApi {
  summary(): Promise<Summary>
  activity(minutes: number, points: number): Promise<Activity>
  uploads(query: Query): Promise<{ uploads: AnyUpload[]; next: string | null }>
  upload(id: string): Promise<OneUpload>
  act(id: string, action: AdminAction): Promise<OneUpload>
  policies(): Promise<PolicyVersion>
  checkPolicies(policies: PolicyJson, signal: AbortSignal): Promise<CheckedPolicies>
  /** @param seen the version that is to be replaced; another one meanwhile is PRECONDITION_FAILED */
  changePolicies(
    seen: number,
    policies: PolicyJson,
    change: PolicyChange,
  ): Promise<PolicyVersion & { changedUploads: number }>
  policyVersions(before?: number): Promise<{ versions: PolicyVersion[]; next: number | null }>
  restorePolicies(
    seen: number,
    version: number,
    change: PolicyChange,
  ): Promise<PolicyVersion & { changedUploads: number }>
  usage(query: Query): Promise<{ users: UserUsage[]; next: string | null }>
  keys(): Promise<ApiKey[]>
  /** The token is told here and never again. */
  makeKey(creation: CreateKey): Promise<ApiKey & { token: string }>
  revokeKey(id: string): Promise<void>
  audit(query: Query): Promise<{ entries: AuditEntry[]; next: number | null }>
  explain(creation: ExplainQuery): Promise<Explanation>
}

// Whoever looks asks again anyway; a line that is dead and does not say so must not stop that.
const timeoutMs = 20_000

/**
 * Speaks to the admin API at `base` (an absolute URL).
 * @param token asked for each request
 */
export function createAdminApi(base: string, token: () => string | null): AdminApi {
  const ask = createRequest(new URL('v1/admin/', asFolder(base)).href, token)
  const ifMatch = (version: number) => ({ headers: { 'if-match': `"${version}"` } })
  const get = async <T>(path: string, query: Query = {}) =>
    (await ask('GET', `${path}${queryOf(query)}`, { signal: AbortSignal.timeout(timeoutMs) })) as T

  return {
    summary: () => get('summary'),
    activity: (minutes, points) => get('series', { minutes, points }),
    uploads: (query) => get('uploads', query),
    upload: (id) => get(`uploads/${encodeURIComponent(id)}`),
    act: async (id, action) => (await ask('POST', `uploads/${encodeURIComponent(id)}/${action}`)) as OneUpload,
    policies: () => get('policies'),
    checkPolicies: async (policies, signal) =>
      (await ask('POST', 'policies/check', { content: { policies }, signal })) as CheckedPolicies,
    changePolicies: async (seen, policies, change) =>
      (await ask('PUT', 'policies', {
        content: { policies, ...change, removeRoles: true },
        ...ifMatch(seen),
      })) as never,
    policyVersions: (before) => get('policies/versions', { before }),
    restorePolicies: async (seen, version, change) =>
      (await ask('POST', `policies/versions/${version}/restore`, {
        content: { ...change, removeRoles: true },
        ...ifMatch(seen),
      })) as never,
    usage: (query) => get('usage', query),
    keys: async () => (await get<{ keys: ApiKey[] }>('keys')).keys,
    makeKey: async (creation) => (await ask('POST', 'keys', { content: creation })) as never,
    revokeKey: async (id) => void (await ask('DELETE', `keys/${encodeURIComponent(id)}`)),
    audit: (query) => get('audit', query),
    explain: async (creation) => (await ask('POST', 'explain', { content: creation })) as Explanation,
  }
}

function queryOf(query: Query): string {
  const said = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '')
  return said.length === 0
    ? ''
    : `?${new URLSearchParams(said.map(([name, value]): [string, string] => [name, String(value)]))}`
}
