import { Command, InvalidArgumentError } from 'commander'
import { effectiveSettings } from '../config/effective.ts'
import { type Config, renderEnvExample } from '../config.ts'
import { parseDuration, parseSize, writeDuration } from '../core/units.ts'
import { userOf } from '../core/upload.ts'
import { devUser, existingTokenSecret, signInLink, tokenRules } from '../development.ts'
import { readConfig, readEnvironment } from '../environment.ts'
import type { Head } from '../features/audit/chain.ts'
import { quotaLines } from '../features/policies/quota-lines.ts'
import { toActor } from '../http/identity/claims.ts'
import { signToken } from '../http/identity/secret.ts'
import { serve } from '../serve.ts'
import { version } from '../version.ts'
import { type AuditOptions, auditLines, verifyLine } from './audit.ts'
import { withDatabase } from './database-at.ts'
import { examine, printFinding } from './doctor/doctor.ts'
import type { Finding } from './doctor/finding.ts'
import { policiesThatHold } from './doctor/policies.ts'
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

/** The command `landfall`. Settings come from the environment and from .env; `write` gets every line for scripts to read. */
export function createProgram(write: (line: string) => void = console.log): Command {
  // File names, notes and agents are written by clients; a terminal would obey some of their characters.
  const print = (text: string) => write(printable(text))
  const program = new Command('landfall').description('A resumable upload server').version(version)

  program
    .command('serve')
    .description('start the server')
    .action(async () => void (await serve()))

  program
    .command('token')
    .description('print a token for the configured secret')
    .option('-u, --user <id>', 'whose uploads; in development mode developer unless it is said')
    .option('-r, --role <role>', 'whose limits; in development mode creator unless it is said')
    .option('-t, --ttl <duration>', 'how long it is valid', duration, duration('24h'))
    .option('--tenant <name>', 'the tenant of the user')
    .option('--admin', 'an admin: of --tenant when it is given, of all tenants when it is not')
    .action(async ({ ttl, tenant, admin, ...who }: TokenOptions) => {
      const config = readConfig()
      const { user, role } = { ...(config.isDevelopment && devUser), ...who }
      if (user === undefined || role === undefined)
        throw new InvalidArgumentError('--user and --role are needed in production')
      // First: without it there is no server here, and no database to open for the roles.
      const secret = await existingTokenSecret(config)
      assertRole(role, await policiesThatHold(config))
      const actor = toActor({ user, role, tenant, isAdmin: admin })
      if (!actor) throw new InvalidArgumentError('a user and a tenant have 1 to 128 characters')
      const rules = tokenRules(config)
      if (rules.maxLifetimeMs !== null && ttl > rules.maxLifetimeMs)
        throw new InvalidArgumentError(
          `tokens are valid for at most ${writeDuration(rules.maxLifetimeMs)} (JWT_MAX_LIFETIME)`,
        )
      const trouble = await auditToken(config, actor, new Date(Date.now() + ttl))
      if (trouble !== null) console.error(printable(`landfall: this token is not in the audit log, because ${trouble}`))
      print(await signToken(secret, actor, Math.floor(ttl / 1000), rules))
    })

  program
    .command('sign-in-link')
    .description('print a link that signs in to the page of a server in development mode, once and within 15 minutes')
    .option('-u, --user <id>', 'whose uploads', devUser.user)
    .option('-r, --role <role>', 'whose limits', devUser.role)
    .action(async ({ user, role }: { user: string; role: string }) => {
      const config = readConfig()
      if (!config.isDevelopment)
        throw new InvalidArgumentError('production has no sign-in links; `landfall token` prints a token')
      // No server takes a link of a folder in which none was started.
      await existingTokenSecret(config)
      assertRole(role, await policiesThatHold(config))
      if (!toActor({ user, role })) throw new InvalidArgumentError('a user has 1 to 128 characters')
      print(await signInLink(config, pageUrlOf(config), { user, role }))
    })

  addKeyCommands(program, print, duration)

  program
    .command('migrate')
    .description('bring the tables of the database up to date')
    .action(async () => {
      await withDatabase(readConfig(), (database) => database.migrate())
      print('the database is up to date')
    })

  program
    .command('sweep')
    .description('end uploads whose time has run out and free what ended ones left; servers do so by themselves')
    .option('-n, --dry-run', 'say what it would do, and do nothing')
    .action(async ({ dryRun = false }: { dryRun?: boolean }) => {
      for (const line of await sweepOnce(readConfig(), dryRun)) print(line)
    })

  addUploadCommands(program, print, whole)
  addRestoreCommands(program, print)

  const policies = program.command('policies').description('who may upload what: read, change, and what held before')

  policies
    .command('show')
    .description('print the policies that hold, or an older version, as JSON')
    .argument('[version]', 'which version', whole)
    .action(async (version?: number) => print(await showPolicies(readConfig(), version)))

  policies
    .command('set <file>')
    .description('make the policies of a file (- is standard input) hold on every server, at once')
    .option('-m, --note <text>', 'why, for those who read the history')
    .option('--if-version <number>', 'only if this version still holds', whole)
    .option('--apply-to-active', 'also change what running uploads were told')
    .option('--remove-roles', 'remove the roles that the file does not name; without it such a file is refused')
    .action(async (file: string, options: PolicyOptions) => {
      for (const line of await setPolicies(readConfig(), { file, ...options })) print(line)
    })

  policies
    .command('merge <file>')
    .description('change what a file (- is standard input) says, and leave the rest; a role that is null is removed')
    .option('-m, --note <text>', 'why, for those who read the history')
    .option('--if-version <number>', 'only if this version still holds', whole)
    .option('--apply-to-active', 'also change what running uploads were told')
    .action(async (file: string, options: PolicyOptions) => {
      for (const line of await mergePoliciesFrom(readConfig(), { file, ...options })) print(line)
    })

  policies
    .command('diff <file>')
    .description('say what the policies of a file (- is standard input) would change, and change nothing')
    .option('--from <version>', 'compare with this version and not with the one that holds', whole)
    .action(async (file: string, { from }: { from?: number }) => {
      for (const line of await comparePolicies(readConfig(), file, from)) print(line)
    })

  policies
    .command('history')
    .description('print who changed the policies, and when')
    .option('-l, --limit <number>', 'how many versions', whole, 20)
    .action(async ({ limit }: { limit: number }) => {
      for (const line of await policyHistory(readConfig(), limit)) print(line)
    })

  program
    .command('quotas')
    .description('what users take of the server')
    .command('reconcile')
    .description('compare what is kept of every user with their uploads, and mend it; servers may run meanwhile')
    .option('-n, --dry-run', 'say what differs, and change nothing')
    .option(
      '--store',
      'also look for every file in the store, one request a file; one that is still gone in a run after LOSS_CONFIRM is given up',
    )
    .action(async ({ dryRun = false, store = false }: { dryRun?: boolean; store?: boolean }) => {
      for (const line of await reconcileQuotas(readConfig(), { isDry: dryRun, checksStore: store })) print(line)
    })

  program
    .command('audit')
    .description('print who did what, from where, and who was refused by which rule, the newest last')
    .option('-u, --user <id>', 'only what they did')
    .option('-t, --tenant <tenant>', 'only what its users did')
    .option('--upload <id>', 'only what was done to this upload')
    .option('--action <action>', 'only this, such as upload.create or policy.change')
    .option('--refused', 'only what was refused')
    .option('-l, --limit <number>', 'how many lines', whole, 100)
    .option('--verify', 'look whether entries were changed or removed; exit with 1 when they were')
    .option(
      '--anchor <seq:hash>',
      'with --verify: a place in the chain from the log of a server, which must still be there',
      anchor,
    )
    .action(async ({ verify, anchor, ...options }: AuditOptions & { verify?: boolean; anchor?: Head }) => {
      if (anchor && !verify) throw new InvalidArgumentError('--anchor is for --verify')
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
    .description('say whether somebody may send a file, which rule decides, and where each limit comes from')
    .requiredOption('-u, --user <id>', 'who')
    .requiredOption('-r, --role <role>', 'their role')
    .option('-t, --tenant <tenant>', 'their tenant')
    .option('-f, --file <name>', 'the name of the file', 'file')
    .option('-s, --size <size>', 'its size; unknown unless given', size)
    .option('-c, --type <type>', 'its media type', 'application/octet-stream')
    .option('--category <category>', 'its category')
    .action(async ({ user, role, tenant, file, size, type, category }: ExplainOptions) => {
      const actor = userOf(user, role, { tenant: tenant ?? null })
      const creation = { filename: file, size: size ?? null, contentType: type, category }
      for (const line of await explainAt(readConfig(), actor, creation)) print(line)
    })

  program
    .command('config')
    .description('print the settings that are in effect and where each comes from, without secrets')
    .option('--example', 'print every setting with its description and default instead, in the form of an .env file')
    .action(({ example = false }: { example?: boolean }) => {
      if (example) return print(renderEnvExample())
      const { inFile } = readEnvironment()
      readConfig()
      for (const { name, value, from } of effectiveSettings(process.env, inFile))
        print([`${name}=${value}`.padEnd(56), from].join(' # '))
    })

  program
    .command('check')
    .description('say what is wrong with the configuration, if anything')
    .action(async () => {
      const config = readConfig()
      print(
        `the configuration is fine: ${config.isDevelopment ? 'development' : 'production'}, files go to ${config.STORE}`,
      )
      for (const { line } of quotaLines(await policiesThatHold(config))) print(line)
    })

  program
    .command('doctor')
    .description(
      'look whether folder, database, bucket, address and proxy do what is needed; exit with 1 when one does not',
    )
    .option('--json', 'one JSON object with all findings, for machines')
    .option('--url <url>', 'where clients reach the server, when that is not PUBLIC_URL')
    .action(async ({ json = false, url }: { json?: boolean; url?: string }) => {
      const findings: Finding[] = []
      for await (const finding of examine(readConfig, { url: url?.replace(/\/+$/, '') })) {
        findings.push(finding)
        if (!json) print(printFinding(finding))
      }
      const isSound = findings.every(({ status }) => status !== 'error')
      if (json) print(JSON.stringify({ isSound, findings }, null, 2))
      if (!isSound) process.exitCode = 1
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

/** Where a browser on this machine finds the page. */
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
