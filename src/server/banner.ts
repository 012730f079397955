import { dirname, join, relative } from 'node:path'
import { signInLink } from '../app/development.ts'
import type { Config } from '../config.ts'
import { storeKind } from '../stores/index.ts'
import { packageFile } from '../version.ts'
import { readEnvironment } from './environment.ts'

/** The text that a server in development mode prints when it is up: its URLs, a sign-in link, and a command that sends a file. */
export async function banner(config: Config, listeningOrigin: string): Promise<string> {
  const url = config.PUBLIC_URL ?? listeningOrigin.replace(/127\.0\.0\.1|\[::1?\]|0\.0\.0\.0/, 'localhost')
  const token = commandIn('token')
  return `
  Landfall is up, in development mode.

  sign in   ${await signInLink(config, url)}
            (works once, within 15 minutes; ${code(commandIn('sign-in-link'))} prints another link)
  page      ${url}/
  admin     ${url}/admin
            (paste the token that ${code(`${token} --admin`)} prints)
  API       ${url}/docs    tus and RUFH: ${url}/files

  send a file from another terminal:

  echo hello | curl -T - ${url}/v1/files/hello.txt -H "Authorization: Bearer $(${token})"

  files     ${storeKind(config.STORE).describe(config)}
  database  an embedded Postgres in ${join(config.DATA_DIR, 'postgres')}
  logs      this output; those of Postgres are beside its files

  To run a service, set NODE_ENV=production: the server then says which settings are missing.
`
}

// Settings that a command needs to find this server, unless the .env file, which the command reads too, has them.
const neededByCommands = ['DATA_DIR', 'HOST', 'PORT', 'PUBLIC_URL'] as const

/** A shell command that runs `landfall` with the settings of this server, from any folder. */
function commandIn(subcommand: string): string {
  const { inFile } = readEnvironment()
  const given = neededByCommands.filter((name) => process.env[name] && !inFile.has(name))
  const settings = given.map((name) => `${name}=${quoted(process.env[name]!)} `).join('')
  const program = join(dirname(packageFile), 'bin', 'landfall.mjs')
  return `cd ${quoted(process.cwd())} && ${settings}node ${quoted(relative(process.cwd(), program))} ${subcommand}`
}

function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

function code(text: string): string {
  return `\`${text}\``
}
