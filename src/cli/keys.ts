import { type Command, InvalidArgumentError } from 'commander'
import type { PolicyDocument } from '../core/policy/policy.ts'
import { type Scope, scopes } from '../core/upload.ts'
import { readConfig } from '../environment.ts'
import { type ApiKey, type Keys, keysIn } from '../features/keys/keys.ts'
import { toActor } from '../http/identity/claims.ts'
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

/** Adds `landfall keys create|list|revoke` to `program`. `duration` reads milliseconds. */
export function addKeyCommands(
  program: Command,
  print: (line: string) => void,
  duration: (text: string) => number,
): void {
  const keys = program.command('keys').description('API keys for services')

  keys
    .command('create')
    .description('make a key and print it, which happens only once')
    .requiredOption('-n, --name <name>', 'what people call it')
    .requiredOption('-r, --role <role>', 'whose limits it has')
    .option('-u, --user <id>', 'whose uploads it sends and sees; a user of its own unless it is said')
    .option('--tenant <name>', 'the tenant of that user')
    .option('-s, --scopes <list>', `of ${scopes.join(', ')}`, readScopes, ['upload', 'read', 'cancel'])
    .option('-t, --ttl <duration>', 'when it ends by itself', duration)
    .action(async ({ name, role, user, tenant, scopes: wanted, ttl }: CreateKeyOptions) => {
      // As they would have to be in a token.
      if (!toActor({ user: user ?? name, role, tenant }) || !toActor({ user: name, role }))
        throw new InvalidArgumentError(
          'a name, a user and a tenant have 1 to 128 characters, a role letters and digits',
        )
      const expiresAt = ttl === undefined ? null : new Date(Date.now() + ttl)
      const { token } = await withKeys(async (all, policies) => {
        assertRole(role, policies)
        return all.create(
          { name, role, user: user ?? null, tenant: tenant ?? null, scopes: wanted, expiresAt },
          operatorName(),
        )
      })
      print(token)
    })

  keys
    .command('list')
    .description('print the keys, the newest first')
    .action(async () => {
      for (const key of await withKeys((all) => all.list())) print(lineOf(key))
    })

  keys
    .command('revoke <id>')
    .description('end a key and all that were made with it, on every server within a second')
    .action(async (id: string) => {
      if (!/^[0-9a-f-]{36}$/.test(id))
        throw new InvalidArgumentError('a key is named by its id, as `keys list` shows it')
      const key = await withKeys((all) => all.revoke(id, operatorName()))
      if (!key) throw new InvalidArgumentError('there is no such key')
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
  const words = text.split(',').map((word) => word.trim())
  const unknown = words.find((word) => !scopes.includes(word as Scope))
  if (unknown !== undefined) throw new InvalidArgumentError(`there are ${scopes.join(', ')}`)
  return [...new Set(words as Scope[])]
}

function lineOf(key: ApiKey): string {
  const state = key.revokedAt ? 'revoked' : key.expiresAt && key.expiresAt <= new Date() ? 'expired' : 'good'
  const whose = [key.tenant, key.user ?? 'itself'].filter((part) => part !== null).join('/')
  const day = (date: Date | null) => date?.toISOString().slice(0, 16) ?? 'never'
  return [
    key.id,
    `${key.prefix}…`,
    state,
    key.name,
    `role ${key.role}`,
    `user ${whose}`,
    key.scopes.join(','),
    `expires ${day(key.expiresAt)}`,
    `used ${day(key.lastUsedAt)}`,
    key.createdByKey === null ? `made by ${key.createdBy}` : `made with key ${key.createdByKey}`,
  ].join('\t')
}
