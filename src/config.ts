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
import { storeOptions } from './stores/index.ts'

const MiB = 1024 ** 2
const second = 1000

const serving = {
  NODE_ENV: mode
    .prefault('development')
    .describe(
      'production: a service, which needs DATABASE_URL and JWT_SECRET. development: for trying out, with an embedded database and a one-time sign-in link; DATABASE_URL and JWT_SECRET are refused. test: as development, for automated tests',
    ),
  HOST: z.string().default('localhost').describe('The address to listen on; 0.0.0.0 is every interface'),
  PORT: count(0, 65_535).default(1080).describe('The port to listen on; 0 lets the system choose'),
  PUBLIC_URL: webUrl.optional().describe('Where clients reach the server. Upload URLs are relative unless this is set'),
  TRUST_PROXY: trust
    .prefault('false')
    .describe('Whose X-Forwarded-* headers to believe: true, false, or addresses and networks such as 10.0.0.0/8'),
  INTERIM_RESPONSES: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .describe(
      'Whether clients of resumable HTTP uploads get 104 before the answer; auto: only those that come without a proxy. nginx and Varnish take 104 for the answer; always is for proxies that pass it on, such as HAProxy and Caddy; landfall doctor tells',
    ),
  CORS_ORIGINS: origins
    .prefault('*')
    .describe(
      'The origins whose pages may call this server, separated by commas: * is all, https://*.example.org every subdomain, http://localhost:* every port',
    ),
  CORS_HEADERS: headerNames
    .prefault('')
    .describe(
      'Request headers that pages may send beside those of the protocols and of tracing, separated by commas: apikey, x-tenant',
    ),
  CORS_CREDENTIALS: z
    .stringbool()
    .prefault('false')
    .describe(
      'Whether browsers send cookies along, for a proxy or HOOKS that read them; needs CORS_ORIGINS other than *. Landfall itself reads none',
    ),
  API_DOCS: z
    .stringbool()
    .optional()
    .describe(
      'Whether /docs describes the API to every client that reaches the server. Not given: in development only',
    ),
  LOG_LEVEL: choice('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent')
    .default('info')
    .describe('The least important line that is logged'),
  LOG_FORMAT: choice('auto', 'json', 'text')
    .default('auto')
    .describe('How lines are logged; auto is text on a terminal and json elsewhere'),
  HEADERS_TIMEOUT: wait(second).prefault('30s').describe('How long the headers of a request may take'),
  WRITE_TIMEOUT: wait(second)
    .prefault('30s')
    .describe('How long a client may leave an answer unread before its connection is cut'),
  START_PATIENCE: wait()
    .prefault('60s')
    .describe('How long a starting server waits for a database or a store that is away'),
  METRICS_PORT: count(0, 65_535)
    .optional()
    .describe(
      'A port of its own for /metrics, open to whoever reaches it. Without it /metrics is on PORT if METRICS_TOKEN is set, and nowhere otherwise',
    ),
  METRICS_TOKEN: z
    .string()
    .min(16, 'expected at least 16 characters')
    .optional()
    .describe('The bearer token with which /metrics may be read on PORT; nothing else gives access to it there'),
  OTEL_EXPORTER_OTLP_ENDPOINT: webUrl
    .optional()
    .describe('A collector that takes OTLP over HTTP, such as http://collector:4318; without it nothing is traced'),
  OTEL_EXPORTER_OTLP_HEADERS: pairs.prefault('').describe('Headers for the collector: name=value, separated by commas'),
  OTEL_SERVICE_NAME: z.string().default('landfall').describe('What traces call this server'),
  DRAIN_TIMEOUT: wait().prefault('20s').describe('How long a stopping server lets requests save what they have'),
}

const identity = {
  JWT_SECRET: tokenSecrets
    .optional()
    .describe(
      'Signs and checks bearer tokens (HS256), 32 bytes or more; `openssl rand -base64 48` makes one. Several, separated by commas: the first signs, all verify. In development mode one is made and kept in DATA_DIR',
    ),
  JWT_AUDIENCE: names
    .prefault('')
    .describe('Tokens of JWT_SECRET must be for one of these audiences (`aud`), separated by commas; empty: for any'),
  JWT_ISSUER: z
    .string()
    .trim()
    .optional()
    .describe('Tokens of JWT_SECRET must name this issuer (`iss`); without it any issuer is accepted'),
  JWT_MAX_LIFETIME: duration
    .prefault('30d')
    .describe('The longest time for which a token of JWT_SECRET may be valid; 0s is any'),
  ISSUERS: issuers
    .prefault('[]')
    .describe(
      'Whose tokens are believed beside those of JWT_SECRET, as JSON or the file that holds it; see docs/identity.md',
    ),
  HOOKS: z
    .string()
    .optional()
    .describe('A module of your own that authorizes, identifies and names objects; see docs/identity.md'),
  HOOK_TIMEOUT: wait(1).prefault('2s').describe('How long a function of HOOKS may take; then the answer is 503'),
  POLICIES: policies
    .prefault('{}')
    .describe('What differs from the built-in roles, as JSON: {"member":{"maxSize":"5GiB","timeToLive":"7d"}}'),
}

const abuseLimits = {
  REQUESTS_PER_ADDRESS: count(0, 1_000_000)
    .default(12_000)
    .describe(
      'Requests a minute that one address may send to one server; 0 is any number. This machine is not counted',
    ),
  CREATIONS_PER_ADDRESS: count(0, 1_000_000)
    .default(6000)
    .describe('Uploads a minute that may be begun from one address at one server; 0 is any number'),
  REQUESTS_AT_ONCE: count(1, 1_000_000)
    .default(10_000)
    .describe('Requests that one server answers at once; more get 503'),
  BODIES_AT_ONCE: count(1, 1_000_000)
    .default(5000)
    .describe(
      'Requests that bring bytes to one server at once; then the slowest of the user with most of them gives way, or the newcomer gets 503',
    ),
  BANDWIDTH: size
    .prefault('0')
    .describe('Bytes a second that one server receives, shared equally between users; 0 is any number'),
  AUDIT_RETENTION: duration
    .prefault('365d')
    .describe('How long it is remembered who did what, and who was refused; 0s is for ever'),
  CONNECTIONS_AT_ONCE: count(1, 1_000_000)
    .default(20_000)
    .describe('Connections that one server holds at once; more are closed'),
  CONNECTIONS_PER_ADDRESS: count(1, 1_000_000)
    .optional()
    .describe(
      'Connections, and requests behind a trusted proxy, that one address (of IPv6 a /64) may have at once; the network around it may have twice and four times as many. Not given: an eighth of CONNECTIONS_AT_ONCE',
    ),
}

const database = {
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'expected postgres://…')
    .optional()
    .describe('The Postgres that keeps the sessions. When trying out, an embedded one runs in DATA_DIR/postgres'),
  DATABASE_PATIENCE: wait(1)
    .prefault('10s')
    .describe('How long a request waits for a database that is away for a moment'),
  DATABASE_POOL: count(1, 1000).default(10).describe('The most connections to Postgres that one server opens'),
}

const uploads = {
  STORE: choice('local', 's3').default('local').describe('Where files go'),
  CONTENT_CHECK: z
    .stringbool()
    .prefault('true')
    .describe(
      'Whether the first bytes of a file decide what it is, before any of it is stored; without it the client is believed',
    ),
  KEY_TEMPLATE: z
    .string()
    .default(defaultKeyTemplate)
    .superRefine((template, context) => {
      const fault = templateError(template)
      if (fault) context.addIssue(fault)
    })
    .describe('How objects are named'),
  PART_SIZE: size.prefault('8MiB').describe('The size of the parts of a file; more where it would need too many parts'),
  CHUNK_SIZE: size
    .prefault('150MiB')
    .describe(
      'The size of the chunks that clients of /api/upload and /v1/uploads/init are told to send, as far as the store takes parts of that size; a policy may say otherwise. A proxy must let bodies of that size pass',
    ),
  PARTS_IN_FLIGHT: count(1, 64)
    .default(8)
    .describe('How many parts of one upload are on their way to the store at once; on a local disk two at most'),
  MEMORY_BUDGET: size
    .optional()
    .describe(
      'The most memory for bytes on their way to the store. Not given: a quarter of the machine, at most 224MiB',
    ),
  BODY_IDLE_TIMEOUT: duration
    .prefault('30s')
    .describe('A request that brings nothing for so long is ended; what came is kept'),
  MIN_SPEED: size
    .prefault('1KiB')
    .describe(
      'A request that brings fewer bytes a second for half a minute is ended; what came is kept. 0 lets every speed pass',
    ),
  BODY_TIMEOUT: duration
    .prefault('0s')
    .describe('A request that takes longer than this is ended; what came is kept. 0s lets each take its time'),
  FINISH_WAIT: wait()
    .prefault('25s')
    .describe(
      'How long an answer waits for the store to put a file together before it asks the client to come back; less than a proxy in front waits for an answer',
    ),
  LOSS_CONFIRM: duration
    .prefault('5m')
    .describe(
      'How long a store must say that something of an upload is gone before that is believed; until then clients are asked to come back',
    ),
  DELETE_GRACE: duration
    .prefault('7d')
    .describe('How long the object of a file stays in the store after the file was deleted; 0s deletes it at once'),
  LEASE_TTL: wait(second)
    .prefault('30s')
    .describe('How long the right to write to an upload outlives a server that died'),
  LOCK_WAIT: wait().prefault('10s').describe('How long a request waits for another one to let go of the same upload'),
}

const groups = {
  Serving: serving,
  'Who may upload what': identity,
  'What strangers are held to': abuseLimits,
  Database: database,
  Uploads: uploads,
  'Files under DATA_DIR (STORE=local)': storeOptions.local,
  'Files in a bucket (STORE=s3)': storeOptions.s3,
}
const settings = z.object({
  ...serving,
  ...identity,
  ...abuseLimits,
  ...database,
  ...uploads,
  ...storeOptions.local,
  ...storeOptions.s3,
})

export type Config = Omit<z.output<typeof settings>, 'MEMORY_BUDGET'> & {
  MEMORY_BUDGET: number
  /** Not production: the database is embedded, the token secret is made, and one-time links sign in. */
  isDevelopment: boolean
}

/** The environment does not make a configuration. `problems` has a line for every one of them. */
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
  if (config.STORE === 's3' && config.PART_SIZE < 5 * MiB) problems.push('PART_SIZE: S3 takes no parts below 5MiB')
  if (config.CHUNK_SIZE < 64 * 1024) problems.push('CHUNK_SIZE: expected at least 64KiB')
  if (config.STORE === 's3' && config.CHUNK_SIZE < 5 * MiB) problems.push('CHUNK_SIZE: S3 takes no parts below 5MiB')
  if ((config.MEMORY_BUDGET ?? MiB) < MiB) problems.push('MEMORY_BUDGET: expected at least 1MiB')
  if (config.BANDWIDTH > 0 && config.BANDWIDTH < 64 * 1024) problems.push('BANDWIDTH: expected 0, or at least 64KiB')
  if (config.CORS_CREDENTIALS && config.CORS_ORIGINS === '*')
    problems.push('CORS_CREDENTIALS: needs CORS_ORIGINS with the origins that are trusted, * is none of them')
  if (config.NODE_ENV === 'production') problems.push(...weakSecrets(config.JWT_SECRET))
  if (problems.length > 0) throw new ConfigError(problems)
  return {
    ...config,
    MEMORY_BUDGET: config.MEMORY_BUDGET ?? quarterOfMemory(),
    isDevelopment: config.NODE_ENV !== 'production',
  }
}

/** Every setting with its description and default, in the form of an .env file. */
export function renderEnvExample(): string {
  const lines = ['# Every setting of Landfall with its default. Copy this file to .env and change what differs.']
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

/** The name of every setting, and its default as text; empty where there is none. */
export function settingNames(): { name: string; fallback: string }[] {
  return Object.values(groups).flatMap((group) => {
    const { properties = {} } = z.toJSONSchema(z.object(group), { io: 'input' })
    return Object.entries(properties).map(([name, property]) => {
      const { default: fallback = '' } = property as z.core.JSONSchema.BaseSchema
      return { name, fallback: String(fallback) }
    })
  })
}

/** What has no sensible default: in production everything that holds state or secrets, and always the bucket of STORE=s3. */
function missing(given: Record<string, string | undefined>): string[] {
  const needed: string[] = []
  if (given.NODE_ENV?.trim() === 'production') needed.push('DATABASE_URL', 'JWT_SECRET')
  if (given.STORE === 's3') {
    needed.push('S3_BUCKET')
    // Without both, the AWS SDK looks for credentials itself; with one, somebody has forgotten the other.
    if (given.S3_ACCESS_KEY_ID || given.S3_SECRET_ACCESS_KEY) needed.push('S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY')
  }
  return needed.filter((name) => given[name] === undefined).map((name) => `${name}: is not set`)
}

/** A line for each token secret that can be guessed. Also one that only verifies is good for every user. */
function weakSecrets(list = ''): string[] {
  const secrets = secretsIn(list)
  return secrets.flatMap((secret, at) => {
    const weakness = weaknessOf(secret)
    if (weakness === null) return []
    const which = secrets.length > 1 ? `the ${at === 0 ? 'first' : `${at + 1}.`} secret` : 'the secret'
    return [`JWT_SECRET: ${which} ${weakness}; \`openssl rand -base64 48\` makes one that cannot be guessed`]
  })
}

/**
 * A service whose NODE_ENV was forgotten must not start as a server that lets any client sign in: DATABASE_URL and JWT_SECRET are
 * what services have, so development mode refuses to run with them.
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
  const how = given.NODE_ENV === undefined ? 'it is not set, which is development' : `it is ${given.NODE_ENV.trim()}`
  return [
    `NODE_ENV: ${how}, but ${found.join(' and ')} ${found.length === 1 ? 'is' : 'are'} set. For a service set NODE_ENV=production with DATABASE_URL and JWT_SECRET; to try Landfall out, remove ${found.join(' and ')}`,
  ]
}

function quarterOfMemory(): number {
  // The limit of the container, where there is one; without one Node answers 0 or an absurdly large number.
  const machine = Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem())
  // With it a thousand slow uploads at once stay below half a gigabyte.
  return Math.min(Math.floor(machine / 4), 224 * MiB)
}
