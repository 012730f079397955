/* Commands for a database and a store that do not match: which store is the right one, and how to continue from a backup. */
import { type Command, InvalidArgumentError } from 'commander'
import { openConfiguredDatabase } from '../app/foundation.ts'
import { mark, newMarker, replacePair } from '../app/pairing/pair.ts'
import type { Config } from '../config.ts'
import { newContentState } from '../core/content.ts'
import { pairingStateOf, readMarker } from '../core/pairing/marker.ts'
import type { ObjectStore } from '../core/ports/object-store.ts'
import { openClock } from '../db/clock.ts'
import { type Pairings, pairingsIn } from '../db/pairing.ts'
import { adoptionsIn } from '../db/uploads/adopt.ts'
import { newStepsOf } from '../features/steps/configured.ts'
import { adopt } from '../jobs/adopt.ts'
import { readConfig } from '../server/environment.ts'
import { withEngine, withStore } from './engine-at.ts'
import { operator } from './uploads.ts'

interface RestoreContext {
  config: Config
  pairings: Pairings
  store: ObjectStore
}

/** Adds `landfall store …`, `landfall restore …` and `landfall deleted …` to `program`. */
export function addRestoreCommands(program: Command, print: (line: string) => void): void {
  const store = program.command('store').description('manage the pairing of the database with its store')
  store
    .command('show')
    .description('print how the database and the store are paired')
    .action(() => withContext(async (context) => print(await pairingLines(context))))
  store
    .command('pair')
    .description('pair the configured store with this database')
    .option('--replace', 'even if either is paired with another one; unfinished uploads in the old store are lost')
    .action(({ replace = false }: { replace?: boolean }) =>
      withContext(async (context) => print(await pairStore(context, replace))),
    )

  const restore = program.command('restore').description('resume with a database that was restored from a backup')
  restore
    .command('accept')
    .description('resume with the database as it is; the deadlines of unfinished uploads and of deletions start anew')
    .action(() => withContext(async (context) => print(await accept(context))))
  restore
    .command('adopt')
    .description('create rows for objects that the database does not know, from their metadata; then accept')
    .option('-n, --dry-run', 'print what would be done, and change nothing')
    .action(({ dryRun = false }: { dryRun?: boolean }) =>
      withContext((context) => adoptObjects(context, dryRun, print)),
    )

  const deleted = program.command('deleted').description('manage deleted files that are still in the store')
  deleted
    .command('list')
    .description('print deleted files, the next to be removed first')
    .action(() =>
      withEngine(readConfig(), async ({ database }) => {
        for (const { id, owner, filename, dueAt } of await adoptionsIn(database).deleted())
          print([id, dueAt.toISOString().slice(0, 19), owner, filename.replace(/\p{C}/gu, '\ufffd')].join('\t'))
      }),
    )
  deleted
    .command('restore')
    .description('restore a deleted file')
    .argument('<id>', 'the id of the upload')
    .action((id: string) =>
      withEngine(readConfig(), async ({ engine }) => {
        await engine.restore(id, operator())
        print(`${id} is completed`)
      }),
    )
}

async function withContext(work: (context: RestoreContext) => Promise<void>): Promise<void> {
  const config = readConfig()
  const database = await openConfiguredDatabase(config, { onError: (error) => console.error(error) })
  try {
    await database.migrate()
    await withStore(config, (store) => work({ config, pairings: pairingsIn(database), store }))
  } finally {
    await database.close()
  }
}

async function pairingLines({ pairings, store }: RestoreContext): Promise<string> {
  const [row, marker] = [await pairings.find(), await readMarker(store)]
  const pairingState = row ? pairingStateOf(row, marker) : null
  const verdict =
    pairingState === null
      ? 'this database is not paired with a store yet'
      : pairingState.state === 'paired'
        ? 'they are paired'
        : pairingState.reason
  return [`database  ${JSON.stringify(row)}`, `store     ${JSON.stringify(marker)}`, verdict].join('\n')
}

async function pairStore({ pairings, store }: RestoreContext, isForced: boolean): Promise<string> {
  await store.prepare?.()
  await store.check()
  const [row, marker] = [await pairings.find(), await readMarker(store)]
  if (row && pairingStateOf(row, marker).state === 'paired') return 'the store is paired with this database already'
  if (!row && !marker) {
    await mark(await pairings.insert(newMarker()), pairings, store)
    return 'the store is paired with this database now'
  }
  if (!isForced)
    throw new InvalidArgumentError(
      'the database or the store is paired with another one (see `landfall store show`). Nothing was changed; pass --replace to pair them anyway',
    )
  await replacePair(pairings, store, newMarker())
  return 'the store is paired with this database now'
}

async function accept({ config, pairings, store }: RestoreContext): Promise<string> {
  const [row, marker] = [await pairings.find(), await readMarker(store)]
  if (!row)
    throw new InvalidArgumentError(
      'this database is not paired with a store; `landfall restore adopt` pairs it with the configured one',
    )
  const pairingState = pairingStateOf(row, marker)
  if (pairingState.state === 'paired') return 'the database is not older than its store; nothing was changed'
  if (pairingState.state === 'mismatched') throw new InvalidArgumentError(pairingState.reason)
  // Renewed before the pair is accepted: a server that sees the pair first must find nothing overdue.
  const renewed = await pairings.renewTimes(config.DELETE_GRACE)
  await replacePair(pairings, store, { storeId: row.storeId, databaseId: row.databaseId, epoch: 1, counter: 1 })
  return `accepted; the deadlines of ${renewed} uploads start anew`
}

async function adoptObjects(context: RestoreContext, isDry: boolean, print: (line: string) => void): Promise<void> {
  const { config, pairings, store } = context
  const [row, marker] = [await pairings.find(), await readMarker(store)]
  if (row && pairingStateOf(row, marker).state === 'mismatched')
    throw new InvalidArgumentError('the store is not paired with this database; see `landfall store show`')
  const database = await openConfiguredDatabase(config, { onError: (error) => console.error(error) })
  try {
    const onSkew = (skew: string | null) => skew && console.error(skew)
    const clock = await openClock({ database, onSkew, onError: console.error })
    const adoptions = adoptionsIn(database, newContentState(newStepsOf(config)))
    const onProgress = (objects: number) => console.error(`${objects} objects listed`)
    const found = await adopt({ store, adoptions, now: clock.now, isDry, onProgress, onObject: print })
    clock.close()
    if (!isDry) {
      await pairings.renewTimes(config.DELETE_GRACE)
      if (!row && marker) await replacePair(pairings, store, marker)
      else if (row && pairingStateOf(row, marker).state === 'restored') await accept(context)
    }
    print(
      `${found.adopted} files ${isDry ? 'would be' : 'were'} adopted, ${found.completed} uploads completed, ${found.unknown} objects have no metadata of Landfall, ${found.known} were known${isDry ? '; nothing was changed' : ''}`,
    )
  } finally {
    await database.close()
  }
}
