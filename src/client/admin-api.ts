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

/** Query parameters of a list; empty values are left out. */
export type Query = Record<string, string | number | boolean | null | undefined>

export type AdminAction = 'cancel' | 'finish' | 'expire'

/** The admin API. Every method throws `RequestError` when the request fails. */
export interface AdminApi {
  summary(): Promise<Summary>
  activity(minutes: number, points: number): Promise<Activity>
  uploads(query: Query): Promise<{ uploads: AnyUpload[]; next: string | null }>
  upload(id: string): Promise<OneUpload>
  act(id: string, action: AdminAction): Promise<OneUpload>
  policies(): Promise<PolicyVersion>
  checkPolicies(policies: PolicyJson, signal: AbortSignal): Promise<CheckedPolicies>
  /** @param version the version to replace; PRECONDITION_FAILED when another one has become active since */
  changePolicies(
    version: number,
    policies: PolicyJson,
    change: PolicyChange,
  ): Promise<PolicyVersion & { changedUploads: number }>
  policyVersions(before?: number): Promise<{ versions: PolicyVersion[]; next: number | null }>
  restorePolicies(
    activeVersion: number,
    version: number,
    change: PolicyChange,
  ): Promise<PolicyVersion & { changedUploads: number }>
  usage(query: Query): Promise<{ users: UserUsage[]; next: string | null }>
  keys(): Promise<ApiKey[]>
  /** The response is the only one that contains the token. */
  createKey(key: CreateKey): Promise<ApiKey & { token: string }>
  revokeKey(id: string): Promise<void>
  audit(query: Query): Promise<{ entries: AuditEntry[]; next: number | null }>
  explain(query: ExplainQuery): Promise<Explanation>
}

// The page polls; a dead connection must not block the next poll.
const timeoutMs = 20_000

/**
 * A client of the admin API at `base` (an absolute URL).
 * @param token called for each request
 */
export function createAdminApi(base: string, token: () => string | null): AdminApi {
  const request = createRequest(new URL('v1/admin/', asFolder(base)).href, token)
  const ifMatch = (version: number) => ({ headers: { 'if-match': `"${version}"` } })
  const get = async <T>(path: string, query: Query = {}) =>
    (await request('GET', `${path}${queryOf(query)}`, { signal: AbortSignal.timeout(timeoutMs) })) as T

  return {
    summary: () => get('summary'),
    activity: (minutes, points) => get('activity', { minutes, points }),
    uploads: (query) => get('uploads', query),
    upload: (id) => get(`uploads/${encodeURIComponent(id)}`),
    act: async (id, action) => (await request('POST', `uploads/${encodeURIComponent(id)}/${action}`)) as OneUpload,
    policies: () => get('policies'),
    checkPolicies: async (policies, signal) =>
      (await request('POST', 'policies/check', { content: { policies }, signal })) as CheckedPolicies,
    changePolicies: async (version, policies, change) =>
      (await request('PUT', 'policies', {
        content: { policies, ...change, removeRoles: true },
        ...ifMatch(version),
      })) as never,
    policyVersions: (before) => get('policies/versions', { before }),
    restorePolicies: async (activeVersion, version, change) =>
      (await request('POST', `policies/versions/${version}/restore`, {
        content: { ...change, removeRoles: true },
        ...ifMatch(activeVersion),
      })) as never,
    usage: (query) => get('usage', query),
    keys: async () => (await get<{ keys: ApiKey[] }>('keys')).keys,
    createKey: async (key) => (await request('POST', 'keys', { content: key })) as never,
    revokeKey: async (id) => void (await request('DELETE', `keys/${encodeURIComponent(id)}`)),
    audit: (query) => get('audit', query),
    explain: async (query) => (await request('POST', 'explain', { content: query })) as Explanation,
  }
}

function queryOf(query: Query): string {
  const parameters = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '')
  return parameters.length === 0
    ? ''
    : `?${new URLSearchParams(parameters.map(([name, value]): [string, string] => [name, String(value)]))}`
}
