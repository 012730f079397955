import { randomBytes, randomUUID } from 'node:crypto'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { secretsIn } from '../config/secrets.ts'
import { type Config, ConfigError } from '../config.ts'
import type { TokenRules } from '../http/identity/secret.ts'
import { createSignInCode, type DevUser } from '../http/identity/sign-in-codes.ts'
import { prepareFolder } from '../stores/folder.ts'

/** The user of a sign-in link that names no other. */
export const devUser: DevUser = { user: 'developer', role: 'creator' }

/** The folder of the codes of sign-in links. */
export function signInFolder({ DATA_DIR }: Pick<Config, 'DATA_DIR'>): string {
  return join(DATA_DIR, 'sign-in')
}

/** The URL of the page with a new one-time code. @param pageUrl without a trailing slash */
export async function signInLink(config: Pick<Config, 'DATA_DIR'>, pageUrl: string, user = devUser): Promise<string> {
  const code = await createSignInCode(signInFolder(config), user, new Date())
  // In the fragment, which browsers never send, so that the code is in no log.
  return `${pageUrl}/#code=${code}`
}

type SecretConfig = Pick<Config, 'JWT_SECRET' | 'DATA_DIR'>

/** The secret that signs bearer tokens: the first of JWT_SECRET, or the generated one of development mode. */
export async function tokenSecret(config: SecretConfig): Promise<string> {
  return (await verifyingSecrets(config))[0]!
}

/** The secrets that verify bearer tokens; the first one signs. */
export async function verifyingSecrets({ JWT_SECRET, DATA_DIR }: SecretConfig): Promise<string[]> {
  return JWT_SECRET === undefined ? [await developmentSecret(DATA_DIR)] : secretsIn(JWT_SECRET)
}

/**
 * As `tokenSecret`, but generates no secret: commands use it, because a token signed with a new secret would be valid on no server.
 * @throws ConfigError
 */
export async function existingTokenSecret(config: SecretConfig): Promise<string> {
  return (await existingTokenSecrets(config))[0]!
}

/** As `existingTokenSecret`: all secrets that verify, the one that signs first. */
export async function existingTokenSecrets({ JWT_SECRET, DATA_DIR }: SecretConfig): Promise<string[]> {
  if (JWT_SECRET !== undefined) return secretsIn(JWT_SECRET)
  const secret = await readIfThere(secretFile(DATA_DIR))
  if (secret !== null) return [secret]
  throw new ConfigError([
    `DATA_DIR: ${DATA_DIR} has no token secret. Run this in the folder in which the server was started, or set DATA_DIR to its data folder; a server generates the secret when it first starts`,
  ])
}

/** The rules for tokens of JWT_SECRET: issuer, audience and lifetime. */
export function tokenRules(config: Pick<Config, 'JWT_ISSUER' | 'JWT_AUDIENCE' | 'JWT_MAX_LIFETIME'>): TokenRules {
  const { JWT_ISSUER, JWT_AUDIENCE, JWT_MAX_LIFETIME } = config
  return { issuer: JWT_ISSUER ?? null, audience: JWT_AUDIENCE, maxLifetimeMs: JWT_MAX_LIFETIME || null }
}

/** The token secret of development mode: generated once, readable by its owner only, and kept so that tokens survive a restart. */
async function developmentSecret(dataDir: string): Promise<string> {
  const file = secretFile(dataDir)
  const known = await readIfThere(file)
  if (known !== null) return known

  await prepareFolder(dataDir)
  const temporary = `${file}.${randomUUID()}`
  await writeFile(temporary, randomBytes(32).toString('base64url'), { mode: 0o600 })
  try {
    // `link` never replaces a file: two servers that start at once read the same, complete secret.
    await link(temporary, file)
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown
  } finally {
    await rm(temporary)
  }
  return readFile(file, 'utf8')
}

function secretFile(dataDir: string): string {
  return join(dataDir, 'jwt-secret')
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8')
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException
    if (code === 'ENOENT') return null
    throw new ConfigError([
      `DATA_DIR: ${file} cannot be read (${code}). Start Landfall as the user whose file it is, or set JWT_SECRET`,
    ])
  }
}
