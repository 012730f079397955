import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { InvalidArgumentError } from 'commander'
import type { Config } from '../config.ts'
import type { Explanation } from '../contract/explain.ts'
import type { ExplainRequest } from '../core/policy/explain.ts'
import type { PolicyDocument } from '../core/policy/policy.ts'
import { creationRules } from '../core/policy/rules/index.ts'
import type { Actor } from '../core/upload.ts'
import type { Database } from '../db/open.ts'
import { findUsageOf } from '../db/usage.ts'
import { applyToActive } from '../features/policies/active-uploads.ts'
import { diffPolicies } from '../features/policies/diff.ts'
import { explainTo } from '../features/policies/explain.ts'
import { mergePolicies, removedRoles } from '../features/policies/merge.ts'
import { PolicyError, readPolicyDocument, writePolicyDocument } from '../policies/schema.ts'
import { type PolicyVersions, policyVersionsIn } from '../policies/versions.ts'
import { policiesAt, withDatabase } from './database-at.ts'
import { withStore } from './engine-at.ts'
import { operatorName } from './operator.ts'

/** The active policies, or those of `version`, as JSON that `setPolicies` accepts. */
export async function showPolicies(config: Config, version?: number): Promise<string> {
  return withVersions(config, async (database) =>
    JSON.stringify(writePolicyDocument(await read(database, config, version)), null, 2),
  )
}

export interface SetPolicies {
  /** A file with JSON; `-` is standard input. */
  file: string
  note?: string | undefined
  /** Fails when another version is the newest. */
  ifVersion?: number | undefined
  applyToActive?: boolean | undefined
  /** Removes roles that the file lacks; otherwise such a file is refused. */
  removeRoles?: boolean | undefined
}

/** Makes the policies of a file the active version on every server at once. @throws InvalidArgumentError with every problem */
export function setPolicies(config: Config, how: SetPolicies): Promise<string[]> {
  return changePolicies(config, how, readPolicyDocument)
}

/** Changes the fields that a file sets and keeps the rest; a role, tenant or user that is `null` is removed. */
export function mergePoliciesFrom(config: Config, how: SetPolicies): Promise<string[]> {
  return changePolicies(config, { ...how, removeRoles: true }, (json, current) => mergePolicies(current, json))
}

async function changePolicies(
  config: Config,
  { file, note, ifVersion, removeRoles, ...how }: SetPolicies,
  documentOf: (json: unknown, current: PolicyDocument) => PolicyDocument,
): Promise<string[]> {
  const json = await readFrom(file)
  return withVersions(config, async (database, versions) => {
    const newest = await versions.latest()
    const latest = newest?.version ?? 0
    const current = newest?.document ?? config.POLICIES
    const document = orInvalid(() => documentOf(json, current))
    const removed = removedRoles(current, document)
    if (removed.length > 0 && !removeRoles)
      throw new InvalidArgumentError(
        `this ${removedRolesLine(removed)}, whose users could no longer upload. Add them to the file, use \`landfall policies merge\`, or pass --remove-roles`,
      )
    const changeNote = { author: operatorName(), note: note ?? null }
    const added = await versions.add(ifVersion ?? latest, document, changeNote)
    if (!added)
      throw new InvalidArgumentError(
        `version ${(await versions.latest())?.version ?? 0} of the policies is active; nothing was changed`,
      )
    const lines = [`version ${added.version} of the policies is active now`]
    if (removed.length > 0) lines.push(removedRolesLine(removed))
    if (how.applyToActive) {
      const maxObjectSize = await largestObject(config)
      lines.push(`${await applyToActive(database, document, maxObjectSize)} active uploads have other limits now`)
    }
    return lines
  })
}

/**
 * One line per field that differs between a file and the active policies, or those of `version`.
 * @throws InvalidArgumentError with every problem
 */
export async function comparePolicies(config: Config, file: string, version?: number): Promise<string[]> {
  const json = await readFrom(file)
  const proposed = orInvalid(() => readPolicyDocument(json))
  return withVersions(config, async (database) => {
    const current = await read(database, config, version)
    const differences = diffPolicies(current, proposed)
    const removed = removedRoles(current, proposed)
    const write = (value: unknown) => (value === undefined ? '(not set)' : JSON.stringify(value))
    if (differences.length === 0) return ['nothing would change']
    const others = differences.filter(({ path: [section, role] }) => section !== 'roles' || !removed.includes(role!))
    return [
      ...(removed.length > 0 ? [removedRolesLine(removed)] : []),
      ...others.map(({ path, before, after }) => `${path.join('.')}: ${write(before)} → ${write(after)}`),
    ]
  })
}

/** The active policies, or those of `version`. @throws InvalidArgumentError when there is no such version */
async function read(database: Database, config: Config, version?: number): Promise<PolicyDocument> {
  if (version === undefined) return policiesAt(database, config)
  const found = await policyVersionsIn(database).find(version)
  if (!found) throw new InvalidArgumentError(`there is no version ${version} of the policies`)
  return found.document
}

async function readFrom(file: string): Promise<unknown> {
  const written = file === '-' ? await text(process.stdin) : await readFile(file, 'utf8')
  return orInvalid(() => JSON.parse(written) as unknown)
}

function orInvalid<T>(reading: () => T): T {
  try {
    return reading()
  } catch (error) {
    if (error instanceof PolicyError || error instanceof SyntaxError) throw new InvalidArgumentError(error.message)
    throw error
  }
}

function removedRolesLine(roles: string[]): string {
  return `removes the ${roles.length === 1 ? 'role' : 'roles'} ${roles.join(', ')}`
}

/** One line per version, newest first. */
export async function policyHistory(config: Config, limit: number): Promise<string[]> {
  return withVersions(config, async (_database, versions) =>
    (await versions.list({ limit })).map(({ version, createdAt, author, note }) =>
      [version, createdAt.toISOString(), author, note].filter((column) => column !== null).join('  '),
    ),
  )
}

/** Whether the active policies allow `actor` to send a file, and if not, why; lines for an operator. */
export async function explainAt(config: Config, actor: Actor, creation: ExplainRequest): Promise<string[]> {
  return withVersions(config, async (database) => {
    const document = await policiesAt(database, config)
    const policies = () => document
    const maxObjectSize = await largestObject(config)
    return linesOf(
      await explainTo(actor, creation, {
        policies,
        rules: creationRules,
        maxObjectSize,
        usageOf: (actor) => findUsageOf(database, actor),
      }),
    )
  })
}

function linesOf({ allowed, reasons, limits }: Explanation): string[] {
  const decision = allowed
    ? ['yes: no rule refuses the file']
    : reasons.map(({ rule, code, why, from }) => `no: ${rule} (${from ?? 'the server'}) ${code}: ${why}`)
  const values = Object.entries(limits ?? {}).map(
    ([name, { value, from }]) =>
      `${name.padEnd(20)}${from.padEnd(9)}${value === null ? 'no limit' : JSON.stringify(value)}`,
  )
  return [...decision, '', ...values]
}

/** Bytes; the largest object that the configured store takes. */
function largestObject(config: Config): Promise<number> {
  return withStore(config, async ({ limits }) => limits.maxObjectSize)
}

/** As `withDatabase`, after its migrations: the first command on a new database may be one about policies. */
function withVersions<T>(
  config: Config,
  work: (database: Database, versions: PolicyVersions) => Promise<T>,
): Promise<T> {
  return withDatabase(config, async (database) => {
    await database.migrate()
    return work(database, policyVersionsIn(database))
  })
}
