import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { InvalidArgumentError } from 'commander'
import type { Config } from '../config.ts'
import type { ExplainRequest } from '../core/policy/explain.ts'
import type { PolicyDocument } from '../core/policy/policy.ts'
import { creationRules } from '../core/policy/rules/index.ts'
import type { Actor } from '../core/upload.ts'
import type { Database } from '../db/open.ts'
import { findUsageOf } from '../db/usage.ts'
import { applyToActive } from '../features/policies/active-uploads.ts'
import { diffPolicies } from '../features/policies/diff.ts'
import { type ExplanationView, explainTo } from '../features/policies/explain.ts'
import { mergePolicies, removedRoles } from '../features/policies/merge.ts'
import { PolicyError, readPolicyDocument, writePolicyDocument } from '../features/policies/schema.ts'
import { type PolicyVersions, policyVersionsIn } from '../features/policies/versions.ts'
import { policiesAt, withDatabase } from './database-at.ts'
import { withStore } from './engine-at.ts'
import { operatorName } from './operator.ts'

/** The newest version, or the one that is asked for, as JSON that `setPolicies` takes. */
export async function showPolicies(config: Config, version?: number): Promise<string> {
  return withVersions(config, async (database) =>
    JSON.stringify(writePolicyDocument(await read(database, config, version)), null, 2),
  )
}

export interface SetPolicies {
  /** A file with JSON; `-` is standard input. */
  file: string
  note?: string | undefined
  /** Refuses when another version is the newest. */
  ifVersion?: number | undefined
  applyToActive?: boolean | undefined
  /** Roles that the file does not name are removed; otherwise such a file is refused. */
  removeRoles?: boolean | undefined
}

/** Makes the policies of a file the newest version; servers that run go over to it at once. @throws InvalidArgumentError with every fault */
export function setPolicies(config: Config, how: SetPolicies): Promise<string[]> {
  return changePolicies(config, how, readPolicyDocument)
}

/** Changes what a file says, field by field, and leaves the rest; a role, tenant or user that is `null` is removed. */
export function mergePoliciesFrom(config: Config, how: SetPolicies): Promise<string[]> {
  return changePolicies(config, { ...how, removeRoles: true }, (json, now) => mergePolicies(now, json))
}

async function changePolicies(
  config: Config,
  { file, note, ifVersion, removeRoles, ...how }: SetPolicies,
  documentOf: (json: unknown, now: PolicyDocument) => PolicyDocument,
): Promise<string[]> {
  const json = await readFrom(file)
  return withVersions(config, async (database, versions) => {
    const newest = await versions.latest()
    const latest = newest?.version ?? 0
    const now = newest?.document ?? config.POLICIES
    const document = orInvalid(() => documentOf(json, now))
    const removed = removedRoles(now, document)
    if (removed.length > 0 && !removeRoles)
      throw new InvalidArgumentError(
        `this ${removedRolesLine(removed)}: their users could no longer upload. Name them, use \`policies merge\`, or say --remove-roles`,
      )
    const remark = { author: operatorName(), note: note ?? null }
    const added = await versions.add(ifVersion ?? latest, document, remark)
    if (!added)
      throw new InvalidArgumentError(
        `version ${(await versions.latest())?.version ?? 0} of the policies holds, nothing was changed`,
      )
    const lines = [`version ${added.version} of the policies holds now`]
    if (removed.length > 0) lines.push(removedRolesLine(removed))
    if (how.applyToActive) {
      const maxObjectSize = await largestObject(config)
      lines.push(`${await applyToActive(database, document, maxObjectSize)} running uploads have other limits now`)
    }
    return lines
  })
}

/**
 * A line for each place at which the policies of a file say something else than those that hold, or than an older version.
 * @throws InvalidArgumentError with every fault
 */
export async function comparePolicies(config: Config, file: string, version?: number): Promise<string[]> {
  const json = await readFrom(file)
  const wanted = orInvalid(() => readPolicyDocument(json))
  return withVersions(config, async (database) => {
    const now = await read(database, config, version)
    const differences = diffPolicies(now, wanted)
    const removed = removedRoles(now, wanted)
    const write = (value: unknown) => (value === undefined ? '(nothing)' : JSON.stringify(value))
    if (differences.length === 0) return ['nothing would change']
    const said = differences.filter(({ path: [section, role] }) => section !== 'roles' || !removed.includes(role!))
    return [
      ...(removed.length > 0 ? [removedRolesLine(removed)] : []),
      ...said.map(({ path, before, after }) => `${path.join('.')}: ${write(before)} → ${write(after)}`),
    ]
  })
}

/** The policies that hold, or those of an older version. @throws InvalidArgumentError when there is none */
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

/** A line for each of the newest versions. */
export async function policyHistory(config: Config, limit: number): Promise<string[]> {
  return withVersions(config, async (_database, versions) =>
    (await versions.list({ limit })).map(({ version, createdAt, author, note }) =>
      [version, createdAt.toISOString(), author, note].filter((word) => word !== null).join('  '),
    ),
  )
}

/** Whether somebody may send a file by the policies that hold, and why not: lines for an operator. */
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

function linesOf({ allowed, reasons, limits }: ExplanationView): string[] {
  const verdict = allowed
    ? ['yes: no rule has anything against it']
    : reasons.map(({ rule, code, why, from }) => `no: ${rule} (${from ?? 'the server'}) ${code}: ${why}`)
  const values = Object.entries(limits ?? {}).map(
    ([name, { value, from }]) =>
      `${name.padEnd(20)}${from.padEnd(9)}${value === null ? 'no limit' : JSON.stringify(value)}`,
  )
  return [...verdict, '', ...values]
}

/** Bytes; what the configured store takes. */
function largestObject(config: Config): Promise<number> {
  return withStore(config, async ({ limits }) => limits.maxObjectSize)
}

/** As `withDatabase`, brought up to date: policies may be the first thing that is asked of it. */
function withVersions<T>(
  config: Config,
  work: (database: Database, versions: PolicyVersions) => Promise<T>,
): Promise<T> {
  return withDatabase(config, async (database) => {
    await database.migrate()
    return work(database, policyVersionsIn(database))
  })
}
