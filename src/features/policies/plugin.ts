import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { UploadError } from '../../core/errors/error.ts'
import type { PolicyDocument } from '../../core/policy/policy.ts'
import type { Actor } from '../../core/upload.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { readPage } from '../../http/api/page.ts'
import { adminOnly } from '../../http/identity/admin.ts'
import type { PolicyCache } from './cache.ts'
import { diffPolicies } from './diff.ts'
import { mergePolicies, removedRoles } from './merge.ts'
import { PolicyError, readPolicyDocument, writePolicyDocument } from './schema.ts'
import type { PolicyVersion, PolicyVersions } from './versions.ts'
import {
  type Between,
  type ByVersion,
  type Change,
  type CheckView,
  type Merge,
  type PageQuery,
  type Restore,
  schemas,
  versionView,
} from './views.ts'

export interface PoliciesOptions {
  book: PolicyCache
  versions: PolicyVersions
  /** Gives running uploads the limits of a document; resolves to how many have others now. */
  applyToRunning(document: PolicyDocument): Promise<number>
}

// Some thousand users with limits of their own.
const bodyLimit = 1024 ** 2

/** The policies, for those who run the server: read, change, and bring back what was. */
export async function policiesPlugin(
  app: FastifyInstance,
  { book: policyCache, versions, applyToRunning }: PoliciesOptions,
): Promise<void> {
  adminOnly(app)
  sendNoStore(app)

  app.get('/policies', { schema: schemas.current }, async (_request, reply) => answer(reply, await newest()))

  app.put<{ Body: Change }>('/policies', { schema: schemas.change, bodyLimit }, async (request, reply) => {
    const { policies, note, applyToRunning, removeRoles, ...rest } = request.body
    // The answer of GET, or the document alone, as `landfall policies show` prints it.
    return change(request, reply, read(policies ?? rest), { note, applyToRunning, removeRoles })
  })

  app.patch<{ Body: Merge }>('/policies', { schema: schemas.merge, bodyLimit }, async (request, reply) => {
    const { policies, ...remark } = request.body
    // A role goes only where the change says so itself: with null.
    const expected = expectedVersion(request.headers['if-match'])
    const before = await versions.find(expected)
    if (!before) throw await versionConflict(expected)
    return change(request, reply, merge(before.document, policies), { ...remark, removeRoles: true })
  })

  app.post<{ Body: Pick<Change, 'policies'> }>(
    '/policies/check',
    { schema: schemas.check, bodyLimit },
    async ({ body }): Promise<CheckView> => {
      const { version, document: now } = await newest()
      try {
        const wanted = readPolicyDocument(body.policies)
        const differences = diffPolicies(now, wanted)
        return {
          policies: writePolicyDocument(wanted),
          problems: [],
          version,
          differences,
          removedRoles: removedRoles(now, wanted),
        }
      } catch (error) {
        if (!(error instanceof PolicyError)) throw error
        return { policies: null, problems: error.problems, version, differences: [], removedRoles: [] }
      }
    },
  )

  app.get<{ Querystring: Between }>('/policies/differences', { schema: schemas.compare }, async ({ query }) => {
    const from = await known(query.from)
    const to = query.to === undefined ? await newest() : await known(query.to)
    return { from: from.version, to: to.version, differences: diffPolicies(from.document, to.document) }
  })

  app.get<{ Querystring: PageQuery }>('/policies/versions', { schema: schemas.list }, async ({ query }) => {
    const find = (limit: number) => versions.list({ ...query, limit })
    const { items, next } = await readPage(query.limit, find, ({ version }) => version)
    return { versions: items.map(versionView), next }
  })

  app.get<{ Params: ByVersion }>('/policies/versions/:version', { schema: schemas.one }, async ({ params }, reply) =>
    answer(reply, await known(params.version)),
  )

  app.post<{ Params: ByVersion; Body: Restore }>(
    '/policies/versions/:version/restore',
    { schema: schemas.restore },
    async (request, reply) => {
      const old = await known(request.params.version)
      const note = request.body.note ?? `version ${old.version} again`
      return change(request, reply, old.document, { ...request.body, note })
    },
  )

  /** Not from memory: who edits wants to see what another server was told a moment ago. */
  async function newest(): Promise<PolicyVersion> {
    await policyCache.refresh()
    return policyCache.current()
  }

  async function known(version: number): Promise<PolicyVersion> {
    const found = await versions.find(version)
    if (!found) throw new UploadError('NOT_FOUND', 'There is no such version of the policies.')
    return found
  }

  async function versionConflict(expected: number): Promise<UploadError> {
    const { version } = await newest()
    const message = `The policies were changed meanwhile: version ${version} holds now.`
    return new UploadError('PRECONDITION_FAILED', message, { expected, version })
  }

  async function change(
    request: FastifyRequest,
    reply: FastifyReply,
    document: PolicyDocument,
    { note, applyToRunning: isForAll, removeRoles }: Restore,
  ) {
    const expected = expectedVersion(request.headers['if-match'])
    const before = await versions.find(expected)
    const removed = before ? removedRoles(before.document, document) : []
    if (removed.length > 0 && !removeRoles) throw removalNotConfirmed(removed)
    const added = await versions.add(expected, document, { author: nameOf(request.actor), note, by: request.actor })
    if (!added) throw await versionConflict(expected)
    await policyCache.refresh()
    const running = isForAll ? await applyToRunning(document) : 0
    request.log.info({ version: added.version, running }, 'policies changed')
    return reply.header('etag', etagOf(added)).send({ ...versionView(added), running })
  }
}

function answer(reply: FastifyReply, version: PolicyVersion): FastifyReply {
  return reply.header('etag', etagOf(version)).send(versionView(version))
}

function etagOf({ version }: PolicyVersion): string {
  return `"${version}"`
}

/** RFC 9110, section 13.1.1. Only the version itself: who changes policies must say which ones they have seen. */
function expectedVersion(ifMatch: string | undefined): number {
  const [, version] = /^"?(\d{1,9})"?$/.exec(ifMatch?.trim() ?? '') ?? []
  if (version === undefined)
    throw new UploadError('INVALID_REQUEST', 'If-Match must be the ETag of the policies that are to be replaced.')
  return Number(version)
}

function removalNotConfirmed(roles: string[]): UploadError {
  return new UploadError(
    'INVALID_REQUEST',
    `This removes the roles ${roles.join(', ')}: their users could no longer upload. Name them, send the change with PATCH, or say removeRoles: true.`,
    { roles: roles.join(', ') },
  )
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
    throw new UploadError('INVALID_FIELD', error.message)
  }
}

function nameOf({ id, tenant }: Actor): string {
  return tenant ? `${id} of ${tenant}` : id
}
