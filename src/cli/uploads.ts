import { type Command, InvalidArgumentError, Option } from 'commander'
import { isUploadError } from '../core/errors/error.ts'
import { formatSize } from '../core/size.ts'
import { type Actor, type UploadState, userOf } from '../core/upload.ts'
import { isId } from '../core/upload-view.ts'
import { readConfig } from '../environment.ts'
import {
  findUploadDetails,
  findUploadLines,
  type UploadDetails,
  type UploadLine,
} from '../features/admin-uploads/find.ts'
import { findTimeline, type TimelineEntry } from '../features/admin-uploads/timeline.ts'
import { withDatabase } from './database-at.ts'
import { withEngine } from './engine-at.ts'
import { operatorName } from './operator.ts'
import { printableLine } from './printable.ts'

interface ListOptions {
  state?: UploadState
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

const states: UploadState[] = ['receiving', 'finishing', 'completed', 'cancelled', 'expired', 'failed']

/** Adds `landfall uploads list|show|cancel|finish|expire` to `program`. `whole` reads a whole number. */
export function addUploadCommands(
  program: Command,
  print: (line: string) => void,
  whole: (text: string) => number,
): void {
  const uploads = program.command('sessions').description('uploads of everybody: look, cancel, finish, expire')

  uploads
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
    .action(async (words: ListOptions) => {
      const found = await withDatabase(readConfig(), (database) => findUploadLines(database, words))
      for (const upload of found) print(lineOf(upload))
    })

  uploads
    .command('show')
    .description('print one upload and what happened to it')
    .argument('<id>', 'which', identity)
    .action((id: string) =>
      withDatabase(readConfig(), async (database) => {
        const upload = await findUploadDetails(database, id)
        if (!upload) throw new InvalidArgumentError('there is no such upload')
        for (const line of detailsOf(upload)) print(line)
        for (const line of (await findTimeline(database, id)).map(timelineLine)) print(line)
      }),
    )

  for (const [verb, does] of Object.entries(verbs)) {
    uploads
      .command(verb)
      .description(does)
      .argument('<id>', 'which', identity)
      .action(async (id: string) => print(await adminAction(verb as keyof typeof verbs, id)))
  }
}

const verbs = {
  cancel: 'end an upload and free what it used; of a completed one the file is deleted when DELETE_GRACE is over',
  finish: 'put an upload together of which every byte is there, now',
  expire: 'end an unfinished upload as if its time had run out',
}

/** @throws InvalidArgumentError with the reason when the upload does not allow it */
function adminAction(verb: keyof typeof verbs, id: string): Promise<string> {
  return withEngine(readConfig(), async ({ engine, database }) => {
    try {
      if (verb === 'cancel') await engine.cancel(operator(), id)
      else if (verb === 'finish') await engine.completeAsAdmin(operator(), id)
      else await engine.expireAsAdmin(operator(), id)
    } catch (error) {
      if (isUploadError(error)) throw new InvalidArgumentError(`${error.code}: ${error.message}`)
      throw error
    }
    return `${id} is ${(await findUploadDetails(database, id))?.state}`
  })
}

/** Who is named in the audit log for what is done at the command line. */
export function operator(): Actor {
  return userOf(operatorName(), 'operator', { isAdmin: true })
}

function lineOf({ id, state, isLive, user, tenant, role, filename, received, size, createdAt }: UploadLine): string {
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

function detailsOf(upload: UploadDetails): string[] {
  const { filename, contentType, category, key, failure, completedAt, expiresAt, parts, tailObjects } = upload
  const words = {
    file: printableLine(`${filename}, ${contentType}, ${category}`),
    key,
    failure,
    parts: parts + tailObjects > 0 ? `${parts} parts and ${tailObjects} pieces wait to be joined` : null,
    'may have': formatSize(upload.maxSize),
    completed: completedAt?.toISOString() ?? null,
    expires: expiresAt?.toISOString() ?? null,
    'to clean': upload.needsCleanup ? 'the sweeper will look for what it left' : null,
  }
  const said = Object.entries(words).filter(([, value]) => value !== null)
  return [lineOf(upload), ...said.map(([name, value]) => `${name.padEnd(10)}${value}`), '']
}

function timelineLine({
  at,
  source,
  what,
  isAllowed,
  actor,
  address,
  code,
  rule,
  note,
  times,
  deliveredAt,
}: TimelineEntry): string {
  const words =
    source === 'event'
      ? [what, deliveredAt ? `told ${deliveredAt.toISOString()}` : 'not told yet', note]
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
