import { totalmem } from 'node:os'
import { z } from 'zod'
import { issuers } from './config/issuers.ts'
import { policies } from './config/policies.ts'
import { secretsIn, tokenSecrets, weaknessOf } from './config/secrets.ts'
import {
  choice,
  count,
  duration,
  headerNames,
  mode,
  names,
  origins,
  pairs,
  size,
  trust,
  wait,
  webUrl,
} from './config/values.ts'
import { defaultKeyTemplate, templateError } from './core/object-key.ts'
import { formatSize } from './core/size.ts'
import { storeGroups, storeKind, storeNames, storeSettings } from './stores/index.ts'

const MiB = 1024 ** 2
const second = 1000

const serving = {
  NODE_ENV: mode
    .prefault('development')
    .describe(
      'production: a service; needs DATABASE_URL and JWT_SECRET. development: for evaluation, with an embedded database and a one-time sign-in link; refuses DATABASE_URL and JWT_SECRET. test: as development, for automated tests',
    ),
  HOST: z.string().default('localhost').describe('The address to listen on; 0.0.0.0 for every interface'),
  PORT: count(0, 65_535).default(1080).describe('The port to listen on; 0 for a free one'),
  PUBLIC_URL: webUrl
    .optional()
    .describe('The URL at which clients reach the server. Upload URLs are relative unless this is set'),
  TRUST_PROXY: trust
    .prefault('false')
    .describe(
      'The proxies whose X-Forwarded-* headers to trust: true (all), false (none), or addresses and networks such as 10.0.0.0/8',
    ),
  INTERIM_RESPONSES: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .describe(
      'Whether clients of Resumable Uploads for HTTP get 104 responses before the final one; auto: only without a proxy. nginx and Varnish take 104 for the final response; always is for proxies that forward it, such as HAProxy and Caddy. Test with landfall doctor',
    ),
  CORS_ORIGINS: origins
    .prefault('*')
    .describe(
      'The origins whose pages may call this server, separated by commas: * for all, https://*.example.org for every subdomain, http://localhost:* for every port',
    ),
  CORS_HEADERS: headerNames
    .prefault('')
    .describe(
      'Request headers that pages may send in addition to those of the protocols and of tracing, separated by commas, such as apikey, x-tenant',
    ),
  CORS_CREDENTIALS: z
    .stringbool()
    .prefault('false')
    .describe(
      'Whether browsers send cookies, for a proxy or HOOKS that read them; needs CORS_ORIGINS other than *. Landfall itself uses no cookies',
    ),
  API_DOCS: z
    .stringbool()
    .optional()
    .describe('Whether /docs serves the API documentation to every client. Default: only in development'),
  LOG_LEVEL: choice('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent')
    .default('info')
    .describe('The lowest level that is logged'),
  LOG_FORMAT: choice('auto', 'json', 'text')
    .default('auto')
    .describe('The format of the log; auto: text on a terminal, json elsewhere'),
  HEADERS_TIMEOUT: wait(second).prefault('30s').describe('How long a client may take to send the headers of a request'),
  WRITE_TIMEOUT: wait(second)
    .prefault('30s')
    .describe('How long a client may leave a response unread before its connection is closed'),
  START_TIMEOUT: wait()
    .prefault('60s')
    .describe('How long a starting server waits for a database or a store that is not reachable'),
  METRICS_PORT: count(0, 65_535)
    .optional()
    .describe(
      'A separate port for /metrics, which any client that reaches it may read. Without it /metrics is on PORT if METRICS_TOKEN is set, and is not served otherwise',
    ),
  METRICS_TOKEN: z
    .string()
    .min(16, 'expected at least 16 characters')
    .optional()
    .describe('The bearer token that clients need to read /metrics on PORT'),
  OTEL_EXPORTER_OTLP_ENDPOINT: webUrl
    .optional()
    .describe('A collector that accepts OTLP over HTTP, such as http://collector:4318; tracing is off without it'),
  OTEL_EXPORTER_OTLP_HEADERS: pairs
    .prefault('')
    .describe('Request headers for the collector: name=value, separated by commas'),
  OTEL_SERVICE_NAME: z.string().default('landfall').describe('The service name in traces'),
  DRAIN_TIMEOUT: wait()
    .prefault('20s')
    .describe('How long a stopping server waits for requests to save the bytes they received'),
}

const identity = {
  JWT_SECRET: tokenSecrets
    .optional()
    .describe(
      'The secret that signs and verifies bearer tokens (HS256), at least 32 bytes; `openssl rand -base64 48` generates one. Several are separated by commas: the first signs, all verify. In development one is generated and kept in DATA_DIR',
    ),
  JWT_AUDIENCE: names
    .prefault('')
    .describe(
      'Audiences, separated by commas: tokens of JWT_SECRET must name one of them (`aud`). Empty: any audience',
    ),
  JWT_ISSUER: z
    .string()
    .trim()
    .optional()
    .describe('The issuer that tokens of JWT_SECRET must name (`iss`). Default: any issuer'),
  JWT_MAX_LIFETIME: duration.prefault('30d').describe('The longest lifetime of a token of JWT_SECRET; 0s for no limit'),
  ISSUERS: issuers
    .prefault('[]')
    .describe(
      'Issuers whose tokens are accepted in addition to those of JWT_SECRET, as JSON or the path of a JSON file; see docs/identity.md',
    ),
  HOOKS: z
    .string()
    .optional()
    .describe(
      'The path of your own module that authorizes requests, identifies users and names objects; see docs/identity.md',
    ),
  HOOK_TIMEOUT: wait(1)
    .prefault('2s')
    .describe('How long a function of HOOKS may take before the request is answered 503'),
  POLICIES: policies
    .prefault('{}')
    .describe('Changes to the built-in roles, as JSON: {"member":{"maxSize":"5GiB","timeToLive":"7d"}}'),
}

const abuseLimits = {
  REQUESTS_PER_ADDRESS: count(0, 1_000_000)
    .default(12_000)
    .describe(
      'The most requests per minute from one address to one server; 0 for no limit. Requests from this machine are not counted',
    ),
  CREATIONS_PER_ADDRESS: count(0, 1_000_000)
    .default(6000)
    .describe('The most uploads per minute that clients at one address may create on one server; 0 for no limit'),
  REQUESTS_AT_ONCE: count(1, 1_000_000)
    .default(10_000)
    .describe(
      'The most requests that one server handles at once; further ones get 503. One user may have as many of them as are still free for others',
    ),
  BODIES_AT_ONCE: count(1, 1_000_000)
    .default(5000)
    .describe(
      'The most request bodies that one server receives at once; then the slowest of the user with most of them is ended, or the new request gets 503',
    ),
  BANDWIDTH: size
    .prefault('0')
    .describe('The most bytes per second that one server receives, shared equally between users; 0 for no limit'),
  AUDIT_RETENTION: duration.prefault('365d').describe('How long entries of the audit log are kept; 0s for ever'),
  CONNECTIONS_AT_ONCE: count(1, 1_000_000)
    .default(20_000)
    .describe('The most connections that one server holds at once; further ones are closed'),
  CONNECTIONS_PER_ADDRESS: count(1, 1_000_000)
    .optional()
    .describe(
      'The most connections of one address (of IPv6 a /64) at once, and behind a trusted proxy the most requests; the networks around it may have twice and four times as many. Default: an eighth of CONNECTIONS_AT_ONCE',
    ),
}

const database = {
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'expected postgres://…')
    .optional()
    .describe('The URL of the Postgres database. In development an embedded one runs in DATA_DIR/postgres'),
  DATABASE_SCHEMA: z
    .string()
    .regex(/^[a-z_][a-z0-9_]{0,40}$/, 'expected a name of lower-case letters, digits and underscores')
    .default('public')
    .describe('The schema that holds the tables; it is created. Servers with one schema share their uploads'),
  DATABASE_TIMEOUT: wait(1).prefault('10s').describe('How long a request waits for a database that is not reachable'),
  DATABASE_POOL: count(1, 1000).default(10).describe('The most connections to Postgres that one server opens'),
}

const uploads = {
  STORE: choice(...storeNames)
    .default('local')
    .describe('Where files are stored'),
  CONTENT_CHECK: z
    .stringbool()
    .prefault('true')
    .describe(
      'Whether the server detects the type of a file from its first bytes, before it stores any; otherwise it trusts the client',
    ),
  KEY_TEMPLATE: z
    .string()
    .default(defaultKeyTemplate)
    .superRefine((template, context) => {
      const problem = templateError(template)
      if (problem) context.addIssue(problem)
    })
    .describe('The template of object keys'),
  PART_SIZE: size
    .prefault('8MiB')
    .describe('The size of the parts of a multipart upload; larger where a file would need too many parts'),
  CHUNK_SIZE: size
    .prefault('150MiB')
    .describe(
      'The chunk size that the server gives to clients of /api/upload and /v1/uploads/init, within the part sizes of the store; a policy may set another one. A proxy must accept bodies of this size',
    ),
  PARTS_IN_FLIGHT: count(1, 64)
    .default(8)
    .describe('How many parts of one upload are sent to the store at once; at most two on a local disk'),
  MEMORY_BUDGET: size
    .optional()
    .describe(
      'The most memory for bytes on their way to the store. Default: a quarter of the memory of the machine, at most 224MiB',
    ),
  BODY_IDLE_TIMEOUT: duration
    .prefault('30s')
    .describe('How long a request may send no bytes before it is ended; bytes received are kept'),
  MIN_SPEED: size
    .prefault('1KiB')
    .describe(
      'The fewest bytes per second: a request that is slower for half a minute is ended; bytes received are kept. 0 for no limit',
    ),
  BODY_TIMEOUT: duration
    .prefault('0s')
    .describe('How long a request may take before it is ended; bytes received are kept. 0s for no limit'),
  FINISH_WAIT: wait()
    .prefault('25s')
    .describe(
      'How long a response waits for the store to complete a file before it asks the client to retry; keep it below the response timeout of a proxy',
    ),
  LOSS_CONFIRM: duration
    .prefault('5m')
    .describe(
      'How long the store must report that bytes of an upload are missing before the upload fails as lost; until then clients are asked to retry',
    ),
  DELETE_GRACE: duration
    .prefault('7d')
    .describe('How long the object of a deleted file stays in the store; 0s to delete it at once'),
  LEASE_TTL: wait(second).prefault('30s').describe('How long the lease of an upload outlives a server that died'),
  LOCK_WAIT: wait()
    .prefault('10s')
    .describe('How long a request waits for another one to release the lock of the same upload'),
}

const groups = {
  Serving: serving,
  'Identity and policies': identity,
  'Limits of a server': abuseLimits,
  Database: database,
  Uploads: uploads,
  ...storeGroups(),
}
const settings = z.object({
  ...serving,
  ...identity,
  ...abuseLimits,
  ...database,
  ...uploads,
  ...storeSettings,
})

export type Config = Omit<z.output<typeof settings>, 'MEMORY_BUDGET'> & {
  MEMORY_BUDGET: number
  /** Development and test: an embedded database, a generated token secret, one-time sign-in links. */
  isDevelopment: boolean
}

/** The environment is no valid configuration. `problems` has one line per problem. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly problems: string[]

  constructor(problems: string[]) {
    super(
      `the configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n  ${problems.join('\n  ')}`,
    )
    this.problems = problems
  }
}

/**
 * The configuration that `env` describes. A variable that is empty counts as not given.
 * @throws ConfigError with all problems at once
 */
export function loadConfig(env: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ''),
  )
  const read = settings.safeParse(given)
  const problems = [...missing(given), ...notInDevelopment(given)]
  if (!read.success) {
    problems.push(...read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`))
    throw new ConfigError(problems)
  }

  const config = read.data
  if (config.PART_SIZE < 64 * 1024) problems.push('PART_SIZE: expected at least 64KiB')
  if (config.CHUNK_SIZE < 64 * 1024) problems.push('CHUNK_SIZE: expected at least 64KiB')
  const { minPart } = storeKind(config.STORE)
  for (const name of ['PART_SIZE', 'CHUNK_SIZE'] as const)
    if (minPart && config[name] < minPart.size)
      problems.push(`${name}: ${minPart.of} accepts no parts below ${formatSize(minPart.size)}`)
  if ((config.MEMORY_BUDGET ?? MiB) < MiB) problems.push('MEMORY_BUDGET: expected at least 1MiB')
  if (config.BANDWIDTH > 0 && config.BANDWIDTH < 64 * 1024) problems.push('BANDWIDTH: expected 0, or at least 64KiB')
  if (config.CORS_CREDENTIALS && config.CORS_ORIGINS === '*')
    problems.push('CORS_CREDENTIALS: needs CORS_ORIGINS with the trusted origins instead of *')
  if (config.NODE_ENV === 'production') problems.push(...weakSecrets(config.JWT_SECRET))
  if (problems.length > 0) throw new ConfigError(problems)
  return {
    ...config,
    MEMORY_BUDGET: config.MEMORY_BUDGET ?? quarterOfMemory(),
    isDevelopment: config.NODE_ENV !== 'production',
  }
}

/** The text of `.env.example`: every setting with its description and default. */
export function renderEnvExample(): string {
  const lines = [
    '# Every setting of Landfall with its default. Copy this file to .env and uncomment the settings that you change.',
  ]
  for (const [title, group] of Object.entries(groups)) {
    lines.push('', '', `## ${title}`)
    const { properties = {} } = z.toJSONSchema(z.object(group), { io: 'input' })
    for (const [name, property] of Object.entries(properties)) {
      const { description, default: fallback = '', enum: choices } = property as z.core.JSONSchema.BaseSchema
      lines.push('', `# ${description}${choices ? `: ${choices.join(', ')}` : ''}`, `# ${name}=${String(fallback)}`)
    }
  }
  return `${lines.join('\n')}\n`
}

/** The name of every setting and its default as text; empty when it has none. */
export function settingNames(): { name: string; fallback: string }[] {
  return Object.values(groups).flatMap((group) => {
    const { properties = {} } = z.toJSONSchema(z.object(group), { io: 'input' })
    return Object.entries(properties).map(([name, property]) => {
      const { default: fallback = '' } = property as z.core.JSONSchema.BaseSchema
      return { name, fallback: String(fallback) }
    })
  })
}

/** Required settings that are missing: in production those of state and secrets, and always those of the store. */
function missing(given: Record<string, string | undefined>): string[] {
  const needed: string[] = []
  if (given.NODE_ENV?.trim() === 'production') needed.push('DATABASE_URL', 'JWT_SECRET')
  const store = uploads.STORE.safeParse(given.STORE)
  if (store.success) needed.push(...(storeKind(store.data).required?.(given) ?? []))
  return needed.filter((name) => given[name] === undefined).map((name) => `${name}: is not set`)
}

/** One line per token secret that can be guessed. A secret that only verifies counts too: it lets an attacker forge tokens. */
function weakSecrets(list = ''): string[] {
  const secrets = secretsIn(list)
  return secrets.flatMap((secret, at) => {
    const weakness = weaknessOf(secret)
    if (weakness === null) return []
    const which = secrets.length > 1 ? `the ${at === 0 ? 'first' : `${at + 1}.`} secret` : 'the secret'
    return [`JWT_SECRET: ${which} ${weakness}; \`openssl rand -base64 48\` generates a good one`]
  })
}

/**
 * Refuses DATABASE_URL and JWT_SECRET, which services set, in development mode: a service that lacks NODE_ENV must not start as a server
 * with sign-in links.
 */
function notInDevelopment(given: Record<string, string | undefined>): string[] {
  if (
    !mode
      .prefault('development')
      .safeParse(given.NODE_ENV)
      .data?.match(/^(development|test)$/)
  )
    return []
  const found = ['DATABASE_URL', 'JWT_SECRET'].filter((name) => given[name] !== undefined)
  if (found.length === 0) return []
  const reason =
    given.NODE_ENV === undefined ? 'it is not set, which means development' : `it is ${given.NODE_ENV.trim()}`
  return [
    `NODE_ENV: ${reason}, but ${found.join(' and ')} ${found.length === 1 ? 'is' : 'are'} set. For a service set NODE_ENV=production with DATABASE_URL and JWT_SECRET; to evaluate Landfall, remove ${found.join(' and ')}`,
  ]
}

function quarterOfMemory(): number {
  // The memory limit of the container; without one Node returns 0 or a huge number.
  const machine = Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem())
  // With this limit a server with a thousand slow uploads stays below 512 MiB.
  return Math.min(Math.floor(machine / 4), 224 * MiB)
}
