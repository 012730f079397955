import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type {
  ByPolicyVersion,
  ChangePolicies,
  CheckedPolicies,
  CheckPolicies,
  ComparePolicies,
  MergePolicies,
  PolicyVersionsQuery,
  RestorePolicies,
} from '../../contract/policies.ts'
import type { UploadError } from '../../core/errors/error.ts'
import { errors } from '../../core/errors/errors.ts'
import type { PolicyDocument } from '../../core/policy/policy.ts'
import type { Actor } from '../../core/upload.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { readPage } from '../../http/api/page.ts'
import { adminOnly } from '../../http/identity/admin.ts'
import type { PolicyCache } from '../../policies/cache.ts'
import { PolicyError, readPolicyDocument, writePolicyDocument } from '../../policies/schema.ts'
import type { PolicyVersion, PolicyVersions } from '../../policies/versions.ts'
import { diffPolicies } from './diff.ts'
import { mergePolicies, removedRoles } from './merge.ts'
import { schemas, versionView } from './views.ts'

export interface PoliciesOptions {
  cache: PolicyCache
  versions: PolicyVersions
  /** Gives the limits of a document to active uploads; resolves to how many changed. */
  applyToActive(document: PolicyDocument): Promise<number>
}

// Enough for some thousand users with limits of their own.
const bodyLimit = 1024 ** 2

/** The routes under `/policies`, for administrators without a tenant: read, change, compare and restore versions. */
export async function policiesPlugin(
  app: FastifyInstance,
  { cache, versions, applyToActive }: PoliciesOptions,
): Promise<void> {
  adminOnly(app)
  sendNoStore(app)

  // A change names the version that it replaces.
  const config = { errors: ['PRECONDITION_FAILED'] } as const

  app.get('/policies', { schema: schemas.current }, async (_request, reply) => sendVersion(reply, await newest()))

  app.put<{ Body: ChangePolicies }>(
    '/policies',
    { schema: schemas.change, bodyLimit, config },
    async (request, reply) => {
      const { policies, note, applyToActive, removeRoles, ...rest } = request.body
      // Takes the response of GET as well as the bare document that `landfall policies show` prints.
      return change(request, reply, read(policies ?? rest), { note, applyToActive, removeRoles })
    },
  )

  app.patch<{ Body: MergePolicies }>(
    '/policies',
    { schema: schemas.merge, bodyLimit, config },
    async (request, reply) => {
      const { policies, ...changeNote } = request.body
      // A merge removes a role only when the request sets it to null.
      const expected = expectedVersion(request.headers['if-match'])
      const before = await versions.find(expected)
      if (!before) throw await versionConflict(expected)
      return change(request, reply, merge(before.document, policies), { ...changeNote, removeRoles: true })
    },
  )

  app.post<{ Body: CheckPolicies }>(
    '/policies/check',
    { schema: schemas.check, bodyLimit },
    async ({ body }): Promise<CheckedPolicies> => {
      const { version, document: current } = await newest()
      try {
        const proposed = readPolicyDocument(body.policies)
        const differences = diffPolicies(current, proposed)
        return {
          policies: writePolicyDocument(proposed),
          problems: [],
          version,
          differences,
          removedRoles: removedRoles(current, proposed),
        }
      } catch (error) {
        if (!(error instanceof PolicyError)) throw error
        return { policies: null, problems: error.problems, version, differences: [], removedRoles: [] }
      }
    },
  )

  app.get<{ Querystring: ComparePolicies }>(
    '/policies/differences',
    { schema: schemas.compare, config: { errors: ['NOT_FOUND'] } },
    async ({ query }) => {
      const from = await findVersion(query.from)
      const to = query.to === undefined ? await newest() : await findVersion(query.to)
      return { from: from.version, to: to.version, differences: diffPolicies(from.document, to.document) }
    },
  )

  app.get<{ Querystring: PolicyVersionsQuery }>('/policies/versions', { schema: schemas.list }, async ({ query }) => {
    const find = (limit: number) => versions.list({ ...query, limit })
    const { items, next } = await readPage(query.limit, find, ({ version }) => version)
    return { versions: items.map(versionView), next }
  })

  app.get<{ Params: ByPolicyVersion }>(
    '/policies/versions/:version',
    { schema: schemas.one },
    async ({ params }, reply) => sendVersion(reply, await findVersion(params.version)),
  )

  app.post<{ Params: ByPolicyVersion; Body: RestorePolicies }>(
    '/policies/versions/:version/restore',
    { schema: schemas.restore, config },
    async (request, reply) => {
      const old = await findVersion(request.params.version)
      const note = request.body.note ?? `restored version ${old.version}`
      return change(request, reply, old.document, { ...request.body, note })
    },
  )

  /** Reads the database: the cache may lack a change that another server made a moment ago. */
  async function newest(): Promise<PolicyVersion> {
    await cache.refresh()
    return cache.current()
  }

  async function findVersion(version: number): Promise<PolicyVersion> {
    const found = await versions.find(version)
    if (!found) throw errors.policyVersionNotFound()
    return found
  }

  async function versionConflict(expected: number): Promise<UploadError> {
    const { version } = await newest()
    return errors.policiesChanged({ expected, version })
  }

  async function change(
    request: FastifyRequest,
    reply: FastifyReply,
    document: PolicyDocument,
    { note, applyToActive: isForActive, removeRoles }: RestorePolicies,
  ) {
    const expected = expectedVersion(request.headers['if-match'])
    const before = await versions.find(expected)
    const removed = before ? removedRoles(before.document, document) : []
    if (removed.length > 0 && !removeRoles) throw errors.rolesWouldBeRemoved({ roles: removed.join(', ') })
    const added = await versions.add(expected, document, { author: nameOf(request.actor), note, by: request.actor })
    if (!added) throw await versionConflict(expected)
    await cache.refresh()
    const changedUploads = isForActive ? await applyToActive(document) : 0
    request.log.info({ version: added.version, changedUploads }, 'policies changed')
    return reply.header('etag', etagOf(added)).send({ ...versionView(added), changedUploads })
  }
}

function sendVersion(reply: FastifyReply, version: PolicyVersion): FastifyReply {
  return reply.header('etag', etagOf(version)).send(versionView(version))
}

function etagOf({ version }: PolicyVersion): string {
  return `"${version}"`
}

/** RFC 9110, section 13.1.1. `*` is refused: a client that changes the policies must name the version it has read. */
function expectedVersion(ifMatch: string | undefined): number {
  const [, version] = /^"?(\d{1,9})"?$/.exec(ifMatch?.trim() ?? '') ?? []
  if (version === undefined) throw errors.ifMatchMissing()
  return Number(version)
}

function read(policies: unknown): PolicyDocument {
  return orInvalid(() => readPolicyDocument(policies))
}

function merge(document: PolicyDocument, changes: unknown): PolicyDocument {
  return orInvalid(() => mergePolicies(document, changes))
}

function orInvalid(reading: () => PolicyDocument): PolicyDocument {
  try {
    return reading()
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error
    throw errors.policiesInvalid({ problems: error.message })
  }
}

function nameOf({ id, tenant }: Actor): string {
  return tenant ? `${id} of ${tenant}` : id
}
