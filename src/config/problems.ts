import { formatSize } from '../core/size.ts'
import { storeKind } from '../stores/index.ts'
import { secretsIn, weaknessOf } from './secrets.ts'
import { uploads } from './settings/uploads.ts'
import type { Settings } from './settings.ts'
import { mode } from './values.ts'

const MiB = 1024 ** 2

/** What is missing in `given`, and what must not be in it: one line per problem. */
export function problemsOfGiven(given: Record<string, string | undefined>): string[] {
  return [...missing(given), ...notInDevelopment(given)]
}

/** Values that are valid alone but not together, or not for the store: one line per problem. */
export function problemsOfSettings(settings: Settings, workers: number): string[] {
  const problems: string[] = []
  if (settings.PART_SIZE < 64 * 1024) problems.push('PART_SIZE: expected at least 64KiB')
  if (settings.CHUNK_SIZE < 64 * 1024) problems.push('CHUNK_SIZE: expected at least 64KiB')
  const { minPart } = storeKind(settings.STORE)
  for (const name of ['PART_SIZE', 'CHUNK_SIZE'] as const)
    if (minPart && settings[name] < minPart.size)
      problems.push(`${name}: ${minPart.of} accepts no parts below ${formatSize(minPart.size)}`)
  if ((settings.MEMORY_BUDGET ?? MiB * workers) < MiB * workers)
    problems.push(`MEMORY_BUDGET: expected at least 1MiB${workers > 1 ? ` for each of ${workers} WORKERS` : ''}`)
  if (settings.DATABASE_POOL < workers)
    problems.push(`DATABASE_POOL: expected at least one connection for each of ${workers} WORKERS`)
  if (settings.BANDWIDTH > 0 && settings.BANDWIDTH < 64 * 1024)
    problems.push('BANDWIDTH: expected 0, or at least 64KiB')
  if (settings.CORS_CREDENTIALS && settings.CORS_ORIGINS === '*')
    problems.push('CORS_CREDENTIALS: needs CORS_ORIGINS with the trusted origins instead of *')
  if (settings.SCANNER !== undefined && settings.STORE === 's3' && settings.S3_PUBLIC_URL !== undefined)
    problems.push(
      'S3_PUBLIC_URL: must not be set with SCANNER: a client that knows the URL of an object gets it before it is scanned, and also when it is infected. Make the bucket private and remove S3_PUBLIC_URL',
    )
  if (settings.DOWNLOADS === 'redirect' && settings.STORE === 'local')
    problems.push('DOWNLOADS: redirect needs a store with URLs of its own; local has none')
  if (settings.NODE_ENV === 'production') problems.push(...weakSecrets(settings.JWT_SECRET))
  return problems
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
