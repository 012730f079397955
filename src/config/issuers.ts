import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import {
  type Algorithm,
  algorithmsFor,
  type Issuer,
  type IssuerKeys,
  publicAlgorithms,
  sharedAlgorithms,
} from '../http/identity/issuer.ts'
import { duration } from './values.ts'

const role = z.string().regex(/^[\w-]{1,64}$/, 'expected a role name')
const path = z.union(
  [z.string().min(1), z.array(z.string().min(1)).min(1)],
  'expected a claim such as sub, realm_access.roles or ["https://x", "role"]',
)

const shape = z.strictObject({
  name: z.string().regex(/^[\w.-]{1,64}$/, 'expected a name of letters, digits and . _ -'),
  issuer: z.string().min(1).max(1024),
  audience: z.union(
    [z.string().min(1), z.array(z.string().min(1)).min(1), z.null()],
    'expected a text, a list of texts, or null to accept tokens for any audience',
  ),
  algorithms: z
    .array(z.enum([...publicAlgorithms, ...sharedAlgorithms]))
    .min(1)
    .optional(),
  secret: z.string().optional(),
  publicKey: z.union([z.string(), z.record(z.string(), z.unknown())], 'expected a PEM or a JWK').optional(),
  jwksUrl: z.string().optional(),
  jwksMaxAge: duration.prefault('10m'),
  jwksCooldown: duration.prefault('10s'),
  jwksMaxStale: duration.prefault('1h'),
  clockTolerance: duration.prefault('5s'),
  maxTokenBytes: z.int().min(256).max(16_384).default(8192),
  claims: z
    .strictObject({
      user: path.default('sub'),
      role: path.default('role'),
      tenant: path.nullable().default(null),
      admin: path.nullable().default(null),
    })
    .prefault({}),
  roles: z.record(z.string().min(1), role).nullable().default(null),
  defaultRole: role.nullable().default(null),
  adminValues: z.array(z.string().min(1)).default([]),
  userPrefix: z
    .string()
    .max(32)
    .regex(/^(?!key:)[^\p{Cc}]*$/u, 'expected printable text that does not start with key:')
    .default(''),
  tenant: z
    .string()
    .regex(/^[^\p{Cc}]{1,128}$/u, 'expected 1 to 128 printable characters')
    .nullable()
    .default(null),
})

const issuer = shape.transform((given, context): Issuer => {
  const fail = (name: keyof typeof given, message: string): never => {
    context.issues.push({ code: 'custom', input: undefined, path: [name], message })
    return z.NEVER
  }
  const {
    secret,
    publicKey,
    jwksUrl,
    audience,
    algorithms: requested,
    jwksMaxAge,
    jwksCooldown,
    jwksMaxStale,
    ...rest
  } = given
  if ([secret, publicKey, jwksUrl].filter((key) => key !== undefined).length !== 1)
    return fail('name', 'expected exactly one of secret, publicKey and jwksUrl')

  let keys: IssuerKeys
  let possible: readonly Algorithm[]
  if (secret !== undefined) {
    keys = { kind: 'secret', secret: Buffer.from(secret) }
    // RFC 7518, 3.2: "A key of the same size as the hash output or larger MUST be used".
    possible = sharedAlgorithms.filter((name) => Buffer.byteLength(secret) * 8 >= Number(name.slice(2)))
    if (possible.length === 0) return fail('secret', 'expected at least 32 bytes')
  } else if (publicKey !== undefined) {
    const key = readPublicKey(publicKey)
    if (key === null) return fail('publicKey', 'expected a public key, as PEM or JWK')
    keys = { kind: 'public', key }
    possible = algorithmsFor(key)
    if (possible.length === 0)
      return fail('publicKey', 'expected RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519')
  } else {
    const url = URL.parse(jwksUrl!)
    if (!url || !isSafe(url))
      return fail('jwksUrl', 'expected an https URL without user and password; http only on this machine')
    keys = { kind: 'remote', url, timing: { maxAge: jwksMaxAge, cooldown: jwksCooldown, maxStale: jwksMaxStale } }
    possible = publicAlgorithms
  }
  const unsupported = requested?.find((name) => !possible.includes(name))
  if (unsupported) return fail('algorithms', `${unsupported} cannot be used with this key, only ${possible.join(', ')}`)
  return {
    ...rest,
    keys,
    foreignPrefixes: [],
    algorithms: requested ?? [...possible],
    audience: typeof audience === 'string' ? [audience] : audience,
  }
})

const list = z.array(issuer).transform((issuers, context): Issuer[] => {
  const fail = (at: number, name: string, message: string) =>
    void context.issues.push({ code: 'custom', input: undefined, path: [at, name], message })
  for (const [at, one] of issuers.entries()) {
    for (const other of issuers.slice(0, at)) {
      if (one.name === other.name) fail(at, 'name', 'is the name of another issuer')
      if (mayNameTheSame(one, other))
        fail(at, 'userPrefix', `could name the users of ${other.name}: give one of them a userPrefix, or each a tenant`)
    }
  }
  return issuers.map((one) => ({ ...one, foreignPrefixes: prefixesWithin(one.userPrefix, issuers) }))
})

/**
 * The issuers whose tokens are accepted, from JSON or from a JSON file. Problems never quote values, which may be secrets.
 */
export const issuers = z.string().transform((text, context): Issuer[] => {
  const json = readJson(text.trim())
  if (typeof json === 'string') {
    context.issues.push({ code: 'custom', input: undefined, message: json })
    return z.NEVER
  }
  const read = list.safeParse(json.value)
  if (read.success) return read.data
  for (const { path: where, message } of read.error.issues)
    context.issues.push({
      code: 'custom',
      input: undefined,
      message: [where.join('.'), message].filter(Boolean).join(': '),
    })
  return z.NEVER
})

/** @returns a text when there is a problem */
function readJson(text: string): { value: unknown } | string {
  const isFile = !text.startsWith('[')
  let json = text
  try {
    if (isFile) json = readFileSync(text, 'utf8')
  } catch (thrown) {
    return `expected a JSON list, or a file that holds one (${(thrown as NodeJS.ErrnoException).code})`
  }
  try {
    return { value: JSON.parse(json) }
  } catch {
    return isFile ? 'the file does not hold JSON' : 'is not JSON'
  }
}

function readPublicKey(given: string | Record<string, unknown>): KeyObject | null {
  try {
    // A private key is refused, although Node would derive the public key from it: it must not be in the configuration.
    if (typeof given === 'string') return given.includes('PRIVATE') ? null : createPublicKey(given)
    return 'd' in given || given.kty === 'oct' ? null : createPublicKey({ key: given as JsonWebKey, format: 'jwk' })
  } catch {
    return null
  }
}

function isSafe({ protocol, hostname, username, password }: URL): boolean {
  const isHere = hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
  return username === '' && password === '' && (protocol === 'https:' || (protocol === 'http:' && isHere))
}

/** Whether two issuers could issue tokens for the same user, although each is trusted for its own users only. */
function mayNameTheSame(one: Issuer, other: Issuer): boolean {
  if (one.issuer === other.issuer || one.userPrefix !== other.userPrefix) return false
  const haveOwnTenants = [one, other].every(({ tenant, claims }) => tenant !== null && claims.tenant === null)
  return !haveOwnTenants || one.tenant === other.tenant
}

/** The longer prefixes of other issuers that start with `prefix`: a user of this issuer must not begin with one. */
function prefixesWithin(prefix: string, issuers: Issuer[]): string[] {
  return issuers.map((other) => other.userPrefix).filter((other) => other !== prefix && other.startsWith(prefix))
}
