import { type Command, InvalidArgumentError, Option } from 'commander'
import { isRefusal } from '../core/errors.ts'
import { isId } from '../core/session-view.ts'
import { formatSize } from '../core/size.ts'
import { type Actor, type State, userOf } from '../core/upload.ts'
import { readConfig } from '../environment.ts'
import { findSession, findSessions, type SessionDetails, type SessionLine } from '../features/sessions/find.ts'
import { findTimeline, type Moment } from '../features/sessions/timeline.ts'
import { withDatabase } from './database-at.ts'
import { withEngine } from './engine-at.ts'
import { operatorName } from './operator.ts'
import { printableLine } from './printable.ts'

interface Words {
  state?: State
  role?: string
  user?: string
  tenant?: string
  text?: string
  since?: string
  until?: string
  live?: boolean
  before?: string
  limit: number
}

const states: State[] = ['receiving', 'finishing', 'completed', 'cancelled', 'expired', 'failed']

/** Adds `landfall sessions list|show|cancel|finish|expire` to `program`. `whole` reads a whole number. */
export function addSessionCommands(
  program: Command,
  print: (line: string) => void,
  whole: (text: string) => number,
): void {
  const sessions = program.command('sessions').description('uploads of everybody: look, cancel, finish, expire')

  sessions
    .command('list')
    .description('print uploads, the newest first')
    .addOption(new Option('-s, --state <state>', 'only those in this state').choices(states))
    .option('-r, --role <role>', 'only of this role')
    .option('-u, --user <id>', 'only of this user')
    .option('-t, --tenant <tenant>', 'only of users of this tenant')
    .option('--text <text>', 'only those with this in their file name, or at the beginning of their id')
    .option('--since <time>', 'only those begun at this time or later, such as 2026-01-31T12:00Z', moment)
    .option('--until <time>', 'only those begun before', moment)
    .option('--live', 'only those that somebody is writing to')
    .option('--before <id>', 'only those older than this one: the last of a page', identity)
    .option('-l, --limit <number>', 'how many', whole, 50)
    .action(async (words: Words) => {
      const found = await withDatabase(readConfig(), (database) => findSessions(database, words))
      for (const session of found) print(lineOf(session))
    })

  sessions
    .command('show')
    .description('print one upload and what happened to it')
    .argument('<id>', 'which', identity)
    .action((id: string) =>
      withDatabase(readConfig(), async (database) => {
        const session = await findSession(database, id)
        if (!session) throw new InvalidArgumentError('there is no such upload')
        for (const line of detailsOf(session)) print(line)
        for (const line of (await findTimeline(database, id)).map(happened)) print(line)
      }),
    )

  for (const [verb, does] of Object.entries(verbs)) {
    sessions
      .command(verb)
      .description(does)
      .argument('<id>', 'which', identity)
      .action(async (id: string) => print(await steer(verb as keyof typeof verbs, id)))
  }
}

const verbs = {
  cancel: 'end an upload and free what it used; of a completed one the file is deleted when DELETE_GRACE is over',
  finish: 'put an upload together of which every byte is there, now',
  expire: 'end an unfinished upload as if its time had run out',
}

/** @throws InvalidArgumentError with the reason when the upload does not allow it */
function steer(verb: keyof typeof verbs, id: string): Promise<string> {
  return withEngine(readConfig(), async ({ engine, database }) => {
    try {
      if (verb === 'cancel') await engine.cancel(operator(), id)
      else if (verb === 'finish') await engine.finishNow(operator(), id)
      else await engine.expireNow(operator(), id)
    } catch (error) {
      if (isRefusal(error)) throw new InvalidArgumentError(`${error.code}: ${error.message}`)
      throw error
    }
    return `${id} is ${(await findSession(database, id))?.state}`
  })
}

/** Who is named in the audit log for what is done at the command line. */
export function operator(): Actor {
  return userOf(operatorName(), 'operator', { isAdmin: true })
}

function lineOf({ id, state, isLive, user, tenant, role, filename, received, size, createdAt }: SessionLine): string {
  return [
    id,
    createdAt.toISOString().slice(0, 19),
    isLive ? `${state} now` : state,
    [tenant, user].filter((word) => word !== null).join('/'),
    role,
    `${formatSize(received)} of ${size === null ? 'unknown' : formatSize(size)}`,
    printableLine(filename),
  ].join('\t')
}

function detailsOf(session: SessionDetails): string[] {
  const { filename, contentType, category, key, failure, completedAt, expiresAt, parts, pieces } = session
  const words = {
    file: printableLine(`${filename}, ${contentType}, ${category}`),
    key,
    failure,
    parts: parts + pieces > 0 ? `${parts} parts and ${pieces} pieces wait to be joined` : null,
    'may have': formatSize(session.maxSize),
    completed: completedAt?.toISOString() ?? null,
    expires: expiresAt?.toISOString() ?? null,
    'to clean': session.isDirty ? 'the sweeper will look for what it left' : null,
  }
  const said = Object.entries(words).filter(([, value]) => value !== null)
  return [lineOf(session), ...said.map(([name, value]) => `${name.padEnd(10)}${value}`), '']
}

function happened({ at, source, what, isAllowed, actor, address, code, rule, note, times, toldAt }: Moment): string {
  const words =
    source === 'event'
      ? [what, toldAt ? `told ${toldAt.toISOString()}` : 'not told yet', note]
      : [what, actor ?? 'the server', address, !isAllowed && `${code}${rule ? ` by ${rule}` : ''}`, note]
  return [at.toISOString(), ...words, times > 1 && `${times} times`].filter(Boolean).join('  ')
}

function identity(text: string): string {
  const id = text.toLowerCase()
  if (!isId(id)) throw new InvalidArgumentError('an upload is named by its id, as `sessions list` shows it')
  return id
}

function moment(text: string): string {
  const at = new Date(text)
  if (Number.isNaN(at.getTime())) throw new InvalidArgumentError('expected a time such as 2026-01-31T12:00Z')
  return at.toISOString()
}
