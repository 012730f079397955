import { Command, InvalidArgumentError } from 'commander'
import { openConfiguredDatabase } from '../app.ts'
import { renderEnvExample } from '../config.ts'
import { parseDuration } from '../core/units.ts'
import { toActor } from '../http/identity/claims.ts'
import { signToken } from '../http/identity/secret.ts'
import { readConfig, serve } from '../serve.ts'
import { tokenSecret } from '../trial.ts'
import { version } from '../version.ts'
import { addKeyCommands } from './keys.ts'
import { sweepOnce } from './sweep.ts'

interface TokenWish {
  user: string
  role: string
  ttl: number
  tenant?: string
  admin?: boolean
}

/** The command `landfall`. Settings come from the environment and from .env; `print` writes a line for scripts to read. */
export function createProgram(print: (line: string) => void = console.log): Command {
  const program = new Command('landfall').description('A resumable upload server').version(version)

  program.command('serve').description('start the server').action(serve)

  program
    .command('token')
    .description('print a token for the configured secret')
    .requiredOption('-u, --user <id>', 'whose uploads')
    .requiredOption('-r, --role <role>', 'whose limits')
    .option('-t, --ttl <duration>', 'how long it is valid', duration, duration('24h'))
    .option('--tenant <name>', 'the tenant of the user')
    .option('--admin', "may look at everybody's uploads and cancel them, and speak with the admin API")
    .action(async ({ user, role, ttl, tenant, admin }: TokenWish) => {
      const config = readConfig()
      if (!Object.hasOwn(config.POLICIES.roles, role))
        throw new InvalidArgumentError(`there are ${Object.keys(config.POLICIES.roles).join(', ')}`)
      const actor = toActor({ user, role, tenant, isAdmin: admin })
      if (!actor) throw new InvalidArgumentError('a user and a tenant have 1 to 128 characters')
      print(await signToken(await tokenSecret(config), actor, Math.floor(ttl / 1000)))
    })

  addKeyCommands(program, print, duration)

  program
    .command('migrate')
    .description('bring the tables of the database up to date')
    .action(async () => {
      const database = await openConfiguredDatabase(readConfig(), (fault) => console.error(fault))
      await database.migrate()
      await database.close()
      print('the database is up to date')
    })

  program
    .command('sweep')
    .description('end uploads whose time has run out and free what ended ones left; servers do so every minute')
    .option('-n, --dry-run', 'say what it would do, and do nothing')
    .action(async ({ dryRun = false }: { dryRun?: boolean }) => {
      for (const line of await sweepOnce(readConfig(), dryRun)) print(line)
    })

  program
    .command('config')
    .description('print every setting with its default, in the form of an .env file')
    .action(() => print(renderEnvExample()))

  program
    .command('check')
    .description('say what is wrong with the configuration, if anything')
    .action(() => {
      const { isTrial, STORE } = readConfig()
      print(`the configuration is fine: ${isTrial ? 'for trying out' : 'production'}, files go to ${STORE}`)
    })

  return program
}

function duration(text: string): number {
  const ms = parseDuration(text)
  if (ms === null || ms < 1000) throw new InvalidArgumentError('expected a duration such as 24h')
  return ms
}
