import { Command, InvalidArgumentError } from 'commander'
import { devUser, existingTokenSecret, signInLink, tokenRules } from '../app/development.ts'
import { effectiveSettings } from '../config/effective.ts'
import { renderEnvExample } from '../config/env-example.ts'
import type { Config } from '../config.ts'
import { parseDuration, parseSize, writeDuration } from '../core/units.ts'
import { userOf } from '../core/upload.ts'
import type { Head } from '../features/audit/chain.ts'
import { quotaLines } from '../features/policies/quota-lines.ts'
import { toActor } from '../http/identity/claims.ts'
import { signToken } from '../http/identity/secret.ts'
import { readConfig, readEnvironment } from '../server/environment.ts'
import { serve } from '../server/serve.ts'
import type { Finding } from '../stores/finding.ts'
import { version } from '../version.ts'
import { type AuditOptions, auditLines, verifyLine } from './audit.ts'
import { withDatabase } from './database-at.ts'
import { examine, printFinding } from './doctor/doctor.ts'
import { activePolicies } from './doctor/policies.ts'
import { addKeyCommands } from './keys.ts'
import {
  comparePolicies,
  explainAt,
  mergePoliciesFrom,
  policyHistory,
  type SetPolicies,
  setPolicies,
  showPolicies,
} from './policies.ts'
import { printable } from './printable.ts'
import { reconcileQuotas } from './quotas.ts'
import { addRestoreCommands } from './restore.ts'
import { assertRole } from './role.ts'
import { sweepOnce } from './sweep.ts'
import { auditToken } from './token-audit.ts'
import { addUploadCommands } from './uploads.ts'

interface TokenOptions {
  user?: string
  role?: string
  ttl: number
  tenant?: string
  admin?: boolean
}

/** The command `landfall`. Settings come from the environment and from .env; `write` gets every line of its output. */
export function createProgram(write: (line: string) => void = console.log): Command {
  // Output contains file names, notes and User-Agents that clients chose: see printable.ts.
  const print = (text: string) => write(printable(text))
  const program = new Command('landfall').description('A resumable upload server').version(version)

  program
    .command('serve')
    .description('start the server')
    .action(async () => void (await serve()))

  program
    .command('token')
    .description('print a bearer token signed with JWT_SECRET')
    .option('-u, --user <id>', 'the user of the token; default in development mode: developer')
    .option('-r, --role <role>', 'the role of the user; default in development mode: creator')
    .option('-t, --ttl <duration>', 'how long it is valid', duration, duration('24h'))
    .option('--tenant <name>', 'the tenant of the user')
    .option('--admin', 'make the user an admin, of --tenant if given, else of all tenants')
    .action(async ({ ttl, tenant, admin, ...who }: TokenOptions) => {
      const config = readConfig()
      const { user, role } = { ...(config.isDevelopment && devUser), ...who }
      if (user === undefined || role === undefined)
        throw new InvalidArgumentError('--user and --role are required in production')
      // Checked first: without a secret there is no server here, and no database with its policies.
      const secret = await existingTokenSecret(config)
      assertRole(role, await activePolicies(config))
      const actor = toActor({ user, role, tenant, isAdmin: admin })
      if (!actor) throw new InvalidArgumentError('--user and --tenant take 1 to 128 printable characters')
      const rules = tokenRules(config)
      if (rules.maxLifetimeMs !== null && ttl > rules.maxLifetimeMs)
        throw new InvalidArgumentError(
          `tokens are valid for at most ${writeDuration(rules.maxLifetimeMs)} (JWT_MAX_LIFETIME)`,
        )
      const problem = await auditToken(config, actor, new Date(Date.now() + ttl))
      if (problem !== null) console.error(printable(`landfall: this token is not in the audit log, because ${problem}`))
      print(await signToken(secret, actor, Math.floor(ttl / 1000), rules))
    })

  program
    .command('sign-in-link')
    .description(
      'print a link that signs in to the page of a server in development mode; works once, within 15 minutes',
    )
    .option('-u, --user <id>', 'the user to sign in as', devUser.user)
    .option('-r, --role <role>', 'the role of the user', devUser.role)
    .action(async ({ user, role }: { user: string; role: string }) => {
      const config = readConfig()
      if (!config.isDevelopment)
        throw new InvalidArgumentError('there are no sign-in links in production; use `landfall token`')
      // Without a secret no server has run here, and none would accept the link.
      await existingTokenSecret(config)
      assertRole(role, await activePolicies(config))
      if (!toActor({ user, role })) throw new InvalidArgumentError('--user takes 1 to 128 printable characters')
      print(await signInLink(config, pageUrlOf(config), { user, role }))
    })

  addKeyCommands(program, print, duration)

  program
    .command('migrate')
    .description('apply pending migrations to the database')
    .action(async () => {
      await withDatabase(readConfig(), (database) => database.migrate())
      print('the database is up to date')
    })

  program
    .command('sweep')
    .description('expire overdue uploads and remove what ended uploads left in the store; servers do this on their own')
    .option('-n, --dry-run', 'print what would be done, and change nothing')
    .action(async ({ dryRun = false }: { dryRun?: boolean }) => {
      for (const line of await sweepOnce(readConfig(), dryRun)) print(line)
    })

  addUploadCommands(program, print, whole)
  addRestoreCommands(program, print)

  const policies = program
    .command('policies')
    .description('read and change the policies, which say who may upload what')

  policies
    .command('show')
    .description('print the active policies, or an older version, as JSON')
    .argument('[version]', 'the version; default: the active one', whole)
    .action(async (version?: number) => print(await showPolicies(readConfig(), version)))

  policies
    .command('set <file>')
    .description('replace the policies by those of a file (- for standard input), on every server at once')
    .option('-m, --note <text>', 'the reason for the change, shown in the history')
    .option('--if-version <number>', 'only if this version is still active', whole)
    .option('--apply-to-active', 'also give the new limits to active uploads')
    .option('--remove-roles', 'remove roles that the file lacks; without this option such a file is refused')
    .action(async (file: string, options: PolicyOptions) => {
      for (const line of await setPolicies(readConfig(), { file, ...options })) print(line)
    })

  policies
    .command('merge <file>')
    .description(
      'change the fields that a file (- for standard input) sets, and keep the rest; a role that is null is removed',
    )
    .option('-m, --note <text>', 'the reason for the change, shown in the history')
    .option('--if-version <number>', 'only if this version is still active', whole)
    .option('--apply-to-active', 'also give the new limits to active uploads')
    .action(async (file: string, options: PolicyOptions) => {
      for (const line of await mergePoliciesFrom(readConfig(), { file, ...options })) print(line)
    })

  policies
    .command('diff <file>')
    .description('print what the policies of a file (- for standard input) would change, and change nothing')
    .option('--from <version>', 'compare with this version instead of the active one', whole)
    .action(async (file: string, { from }: { from?: number }) => {
      for (const line of await comparePolicies(readConfig(), file, from)) print(line)
    })

  policies
    .command('history')
    .description('print who changed the policies and when')
    .option('-l, --limit <number>', 'number of versions', whole, 20)
    .action(async ({ limit }: { limit: number }) => {
      for (const line of await policyHistory(readConfig(), limit)) print(line)
    })

  program
    .command('quotas')
    .description('usage of users')
    .command('reconcile')
    .description('compare the recorded usage of every user with their uploads, and correct it; safe while servers run')
    .option('-n, --dry-run', 'print differences, and change nothing')
    .option(
      '--store',
      'also check every file in the store, one request per file; an upload whose file is still missing in a run after LOSS_CONFIRM fails as lost',
    )
    .action(async ({ dryRun = false, store = false }: { dryRun?: boolean; store?: boolean }) => {
      for (const line of await reconcileQuotas(readConfig(), { isDry: dryRun, checksStore: store })) print(line)
    })

  program
    .command('audit')
    .description('print the audit log: who did what from where, and what was refused by which rule; newest last')
    .option('-u, --user <id>', 'only entries of this user')
    .option('-t, --tenant <tenant>', 'only entries of users of this tenant')
    .option('--upload <id>', 'only entries about this upload')
    .option('--action <action>', 'only this action, such as upload.create or policy.change')
    .option('--refused', 'only refused requests')
    .option('-l, --limit <number>', 'number of entries', whole, 100)
    .option('--verify', 'verify that no entry was changed or removed; exit with 1 otherwise')
    .option(
      '--anchor <seq:hash>',
      'with --verify: a position that a server logged, which must still be in the chain',
      anchor,
    )
    .action(async ({ verify, anchor, ...options }: AuditOptions & { verify?: boolean; anchor?: Head }) => {
      if (anchor && !verify) throw new InvalidArgumentError('--anchor requires --verify')
      if (verify) {
        const { line, isIntact } = await verifyLine(readConfig(), anchor)
        print(line)
        if (!isIntact) process.exitCode = 1
        return
      }
      for (const line of await auditLines(readConfig(), options)) print(line)
    })

  program
    .command('explain')
    .description('print whether a user may send a file, which rule decides, and where each limit comes from')
    .requiredOption('-u, --user <id>', 'the user')
    .requiredOption('-r, --role <role>', 'the role of the user')
    .option('-t, --tenant <tenant>', 'the tenant of the user')
    .option('-f, --file <name>', 'the name of the file', 'file')
    .option('-s, --size <size>', 'the size of the file; default: unknown', size)
    .option('-c, --type <type>', 'the media type of the file', 'application/octet-stream')
    .option('--category <category>', 'the category of the file; default: derived from its media type')
    .action(async ({ user, role, tenant, file, size, type, category }: ExplainOptions) => {
      const actor = userOf(user, role, { tenant: tenant ?? null })
      const creation = { filename: file, size: size ?? null, contentType: type, category }
      for (const line of await explainAt(readConfig(), actor, creation)) print(line)
    })

  program
    .command('config')
    .description('print the effective settings and their sources, without secrets')
    .option('--example', 'print every setting with its description and default in the form of an .env file instead')
    .action(({ example = false }: { example?: boolean }) => {
      if (example) return print(renderEnvExample())
      const { inFile } = readEnvironment()
      readConfig()
      for (const { name, value, from } of effectiveSettings(process.env, inFile))
        print([`${name}=${value}`.padEnd(56), from].join(' # '))
    })

  program
    .command('check')
    .description('check the configuration and print every problem')
    .action(async () => {
      const config = readConfig()
      print(
        `the configuration is valid: ${config.isDevelopment ? 'development' : 'production'}, files go to ${config.STORE}`,
      )
      for (const { line } of quotaLines(await activePolicies(config))) print(line)
    })

  program
    .command('doctor')
    .description(
      'test the folder, database, bucket, address and proxy that the configuration names; exit with 1 if one does not work',
    )
    .option('--json', 'print all findings as one JSON object')
    .option('--url <url>', 'the URL at which clients reach the server; default: PUBLIC_URL')
    .action(async ({ json = false, url }: { json?: boolean; url?: string }) => {
      const findings: Finding[] = []
      for await (const finding of examine(readConfig, { url: url?.replace(/\/+$/, '') })) {
        findings.push(finding)
        if (!json) print(printFinding(finding))
      }
      const isOk = findings.every(({ status }) => status !== 'error')
      if (json) print(JSON.stringify({ ok: isOk, findings }, null, 2))
      if (!isOk) process.exitCode = 1
    })

  return program
}

type PolicyOptions = Omit<SetPolicies, 'file'>

interface ExplainOptions {
  user: string
  role: string
  tenant?: string
  file: string
  size?: number
  type: string
  category?: string
}

/** The URL of the page for a browser on this machine. */
function pageUrlOf({ PUBLIC_URL, HOST, PORT }: Config): string {
  return PUBLIC_URL ?? `http://${['0.0.0.0', '::', '127.0.0.1'].includes(HOST) ? 'localhost' : HOST}:${PORT}`
}

function anchor(text: string): Head {
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? []
  if (seq === undefined || hash === undefined)
    throw new InvalidArgumentError('expected a number, a colon and 64 hexadecimal digits')
  return { seq: Number(seq), hash }
}

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('expected a whole number')
  return Number(text)
}

function size(text: string): number {
  const bytes = parseSize(text)
  if (bytes === null) throw new InvalidArgumentError('expected a size such as 10GiB')
  return bytes
}

function duration(text: string): number {
  const ms = parseDuration(text)
  if (ms === null || ms < 1000) throw new InvalidArgumentError('expected a duration such as 24h')
  return ms
}
