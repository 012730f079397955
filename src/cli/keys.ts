import { type Command, InvalidArgumentError } from 'commander'
import type { PolicyDocument } from '../core/policy/policy.ts'
import { type Scope, scopes } from '../core/upload.ts'
import { type ApiKey, type Keys, keysIn } from '../features/api-keys/keys.ts'
import { toActor } from '../http/identity/claims.ts'
import { readConfig } from '../server/environment.ts'
import { policiesAt, withDatabase } from './database-at.ts'
import { operatorName } from './operator.ts'
import { assertRole } from './role.ts'

interface CreateKeyOptions {
  name: string
  role: string
  user?: string
  tenant?: string
  scopes: Scope[]
  ttl?: number
}

/** Adds `landfall keys create|list|revoke` to `program`. `duration` parses to milliseconds. */
export function addKeyCommands(
  program: Command,
  print: (line: string) => void,
  duration: (text: string) => number,
): void {
  const keys = program.command('keys').description('manage API keys of services')

  keys
    .command('create')
    .description('create a key and print it; it cannot be shown again')
    .requiredOption('-n, --name <name>', 'a name by which admins recognize the key')
    .requiredOption('-r, --role <role>', 'the role whose limits apply to it')
    .option('-u, --user <id>', 'the user the key acts for; default: a user of its own')
    .option('--tenant <name>', 'the tenant of that user')
    .option('-s, --scopes <list>', `scopes separated by commas: ${scopes.join(', ')}`, readScopes, [
      'upload',
      'read',
      'cancel',
    ])
    .option('-t, --ttl <duration>', 'how long it is valid; default: until revoked', duration)
    .action(async ({ name, role, user, tenant, scopes, ttl }: CreateKeyOptions) => {
      // The same rules as for the claims of a token.
      if (!toActor({ user: user ?? name, role, tenant }) || !toActor({ user: name, role }))
        throw new InvalidArgumentError(
          '--name, --user and --tenant take 1 to 128 printable characters, --role takes letters, digits, _ and -',
        )
      const expiresAt = ttl === undefined ? null : new Date(Date.now() + ttl)
      const { token } = await withKeys(async (all, policies) => {
        assertRole(role, policies)
        return all.create({ name, role, user: user ?? null, tenant: tenant ?? null, scopes, expiresAt }, operatorName())
      })
      print(token)
    })

  keys
    .command('list')
    .description('print the keys, newest first')
    .action(async () => {
      for (const key of await withKeys((all) => all.list())) print(lineOf(key))
    })

  keys
    .command('revoke <id>')
    .description('revoke a key and all keys created with it; takes effect on every server within a second')
    .action(async (id: string) => {
      if (!/^[0-9a-f-]{36}$/.test(id))
        throw new InvalidArgumentError('expected the id of a key, as `landfall keys list` prints it')
      const key = await withKeys((all) => all.revoke(id, operatorName()))
      if (!key) throw new InvalidArgumentError('there is no key with this id')
      print(`revoked ${key.prefix}… (${key.name})`)
    })
}

async function withKeys<T>(work: (keys: Keys, policies: PolicyDocument) => Promise<T>): Promise<T> {
  const config = readConfig()
  const onError = (error: unknown) => console.error(error)
  return withDatabase(config, async (database) =>
    work(await keysIn({ database, now: () => new Date(), onError }), await policiesAt(database, config)),
  )
}

function readScopes(text: string): Scope[] {
  const names = text.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !scopes.includes(name as Scope))
  if (unknown !== undefined)
    throw new InvalidArgumentError(`there is no scope ${unknown}; the scopes are ${scopes.join(', ')}`)
  return [...new Set(names as Scope[])]
}

function lineOf(key: ApiKey): string {
  const state = key.revokedAt ? 'revoked' : key.expiresAt && key.expiresAt <= new Date() ? 'expired' : 'active'
  const user = [key.tenant, key.user ?? 'itself'].filter((part) => part !== null).join('/')
  const day = (date: Date | null) => date?.toISOString().slice(0, 16) ?? 'never'
  return [
    key.id,
    `${key.prefix}…`,
    state,
    key.name,
    `role ${key.role}`,
    `user ${user}`,
    key.scopes.join(','),
    `expires ${day(key.expiresAt)}`,
    `used ${day(key.lastUsedAt)}`,
    key.createdByKey === null ? `created by ${key.createdBy}` : `created with key ${key.createdByKey}`,
  ].join('\t')
}
