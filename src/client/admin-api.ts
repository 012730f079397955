import type { Activity } from '../contract/activity.ts'
import type { AdminAction, AnyUploads, OneUpload, Summary } from '../contract/admin-uploads.ts'
import type { AuditEntries } from '../contract/audit.ts'
import type { ExplainUserQuery, Explanation } from '../contract/explain.ts'
import type { ApiKey, ApiKeys, CreatedKey, CreateKey } from '../contract/keys.ts'
import type {
  ChangedPolicies,
  ChangeNote,
  ChangePolicies,
  CheckedPolicies,
  CheckPolicies,
  PolicyJson,
  PolicyVersion,
  PolicyVersions,
  RestorePolicies,
} from '../contract/policies.ts'
import type { AllUsage } from '../contract/usage.ts'
import { asFolder, createRequest } from './request.ts'

/** Query parameters of a list; empty values are left out. */
export type Query = Record<string, string | number | boolean | null | undefined>

/** The admin API. Every method throws `RequestError` when the request fails. */
export interface AdminApi {
  summary(): Promise<Summary>
  activity(minutes: number, points: number): Promise<Activity>
  uploads(query: Query): Promise<AnyUploads>
  upload(id: string): Promise<OneUpload>
  act(id: string, action: AdminAction): Promise<OneUpload>
  policies(): Promise<PolicyVersion>
  checkPolicies(policies: PolicyJson, signal: AbortSignal): Promise<CheckedPolicies>
  /** @param version the version to replace; PRECONDITION_FAILED when another one has become active since */
  changePolicies(version: number, policies: PolicyJson, change: ChangeNote): Promise<ChangedPolicies>
  policyVersions(before?: number): Promise<PolicyVersions>
  restorePolicies(activeVersion: number, version: number, change: ChangeNote): Promise<ChangedPolicies>
  usage(query: Query): Promise<AllUsage>
  keys(): Promise<ApiKey[]>
  /** The response is the only one that contains the token. */
  createKey(key: CreateKey): Promise<CreatedKey>
  revokeKey(id: string): Promise<void>
  audit(query: Query): Promise<AuditEntries>
  explain(query: ExplainUserQuery): Promise<Explanation>
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
      (await request('POST', 'policies/check', {
        content: { policies } satisfies CheckPolicies,
        signal,
      })) as CheckedPolicies,
    changePolicies: async (version, policies, change) =>
      (await request('PUT', 'policies', {
        content: { policies, ...change, removeRoles: true } satisfies ChangePolicies,
        ...ifMatch(version),
      })) as ChangedPolicies,
    policyVersions: (before) => get('policies/versions', { before }),
    restorePolicies: async (activeVersion, version, change) =>
      (await request('POST', `policies/versions/${version}/restore`, {
        content: { ...change, removeRoles: true } satisfies RestorePolicies,
        ...ifMatch(activeVersion),
      })) as ChangedPolicies,
    usage: (query) => get('usage', query),
    keys: async () => (await get<ApiKeys>('keys')).keys,
    createKey: async (key) => (await request('POST', 'keys', { content: key })) as CreatedKey,
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
