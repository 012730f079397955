import { type Command, InvalidArgumentError, Option } from 'commander'
import { isUploadError } from '../core/errors/error.ts'
import { formatSize } from '../core/size.ts'
import { type Actor, type UploadState, userOf } from '../core/upload.ts'
import { isId } from '../core/upload-state.ts'
import {
  findUploadDetails,
  findUploadLines,
  type UploadDetails,
  type UploadLine,
} from '../features/admin-uploads/find.ts'
import { findTimeline, type TimelineEntry } from '../features/admin-uploads/timeline.ts'
import { readConfig } from '../server/environment.ts'
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

/** Adds `landfall uploads list|show|cancel|finish|expire` to `program`. `whole` parses a whole number. */
export function addUploadCommands(
  program: Command,
  print: (line: string) => void,
  whole: (text: string) => number,
): void {
  const uploads = program.command('uploads').description('list, show, cancel, finish and expire uploads of all users')

  uploads
    .command('list')
    .description('print uploads, newest first')
    .addOption(new Option('-s, --state <state>', 'only uploads in this state').choices(states))
    .option('-r, --role <role>', 'only uploads of this role')
    .option('-u, --user <id>', 'only uploads of this user')
    .option('-t, --tenant <tenant>', 'only uploads of this tenant')
    .option('--text <text>', 'only uploads with this in their file name, or at the beginning of their id')
    .option('--since <time>', 'only uploads created at or after this time, such as 2026-01-31T12:00Z', moment)
    .option('--until <time>', 'only uploads created before this time', moment)
    .option('--live', 'only uploads that a server is writing to')
    .option('--before <id>', 'only uploads older than this one, the last of the previous page', uploadId)
    .option('-l, --limit <number>', 'number of uploads', whole, 50)
    .action(async (filters: ListOptions) => {
      const found = await withDatabase(readConfig(), (database) => findUploadLines(database, filters))
      for (const upload of found) print(lineOf(upload))
    })

  uploads
    .command('show')
    .description('print one upload and its timeline')
    .argument('<id>', 'the id of the upload', uploadId)
    .action((id: string) =>
      withDatabase(readConfig(), async (database) => {
        const upload = await findUploadDetails(database, id)
        if (!upload) throw new InvalidArgumentError('there is no such upload')
        for (const line of detailsOf(upload)) print(line)
        for (const line of (await findTimeline(database, id)).map(timelineLine)) print(line)
      }),
    )

  for (const [action, description] of Object.entries(actions)) {
    uploads
      .command(action)
      .description(description)
      .argument('<id>', 'the id of the upload', uploadId)
      .action(async (id: string) => print(await adminAction(action as keyof typeof actions, id)))
  }
}

const actions = {
  cancel: 'cancel an upload; the file of a completed one is deleted after DELETE_GRACE',
  finish: 'complete an upload whose bytes have all arrived',
  expire: 'expire an unfinished upload now',
}

/** @throws InvalidArgumentError with the reason when the upload does not allow it */
function adminAction(action: keyof typeof actions, id: string): Promise<string> {
  return withEngine(readConfig(), async ({ engine, database }) => {
    try {
      if (action === 'cancel') await engine.cancel(operator(), id)
      else if (action === 'finish') await engine.completeAsAdmin(operator(), id)
      else await engine.expireAsAdmin(operator(), id)
    } catch (error) {
      if (isUploadError(error)) throw new InvalidArgumentError(`${error.code}: ${error.message}`)
      throw error
    }
    return `${id} is ${(await findUploadDetails(database, id))?.state}`
  })
}

/** The actor of commands, as the audit log names it. */
export function operator(): Actor {
  return userOf(operatorName(), 'operator', { isAdmin: true })
}

function lineOf({ id, state, live, user, tenant, role, filename, received, size, createdAt }: UploadLine): string {
  return [
    id,
    createdAt.toISOString().slice(0, 19),
    live ? `${state} (live)` : state,
    [tenant, user].filter((part) => part !== null).join('/'),
    role,
    `${formatSize(received)} of ${size === null ? 'unknown' : formatSize(size)}`,
    printableLine(filename),
  ].join('\t')
}

function detailsOf(upload: UploadDetails): string[] {
  const { filename, contentType, category, key, failure, completedAt, expiresAt, parts, tailObjects } = upload
  const fields = {
    file: printableLine(`${filename}, ${contentType}, ${category}`),
    key,
    failure,
    parts: parts + tailObjects > 0 ? `${parts} stored parts and ${tailObjects} tail objects` : null,
    'max size': formatSize(upload.maxSize),
    completed: completedAt?.toISOString() ?? null,
    expires: expiresAt?.toISOString() ?? null,
    cleanup: upload.needsCleanup ? 'the sweeper will check for orphaned objects' : null,
  }
  const present = Object.entries(fields).filter(([, value]) => value !== null)
  return [lineOf(upload), ...present.map(([name, value]) => `${name.padEnd(10)}${value}`), '']
}

function timelineLine({
  at,
  source,
  what,
  allowed,
  actor,
  address,
  code,
  rule,
  note,
  times,
  deliveredAt,
}: TimelineEntry): string {
  const columns =
    source === 'event'
      ? [what, deliveredAt ? `delivered ${deliveredAt.toISOString()}` : 'not delivered yet', note]
      : [what, actor ?? 'the server', address, !allowed && `${code}${rule ? ` by ${rule}` : ''}`, note]
  return [at.toISOString(), ...columns, times > 1 && `${times} times`].filter(Boolean).join('  ')
}

function uploadId(text: string): string {
  const id = text.toLowerCase()
  if (!isId(id)) throw new InvalidArgumentError('expected the id of an upload, as `landfall uploads list` prints it')
  return id
}

function moment(text: string): string {
  const at = new Date(text)
  if (Number.isNaN(at.getTime())) throw new InvalidArgumentError('expected a time such as 2026-01-31T12:00Z')
  return at.toISOString()
}
