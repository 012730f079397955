/* What an operator decides of a database and a store that do not fit: which store is the right one, and what of a backup goes on. */
import { type Command, InvalidArgumentError } from 'commander'
import { openConfiguredDatabase } from '../app.ts'
import type { Config } from '../config.ts'
import { pairingStateOf, readMarker } from '../core/pairing/marker.ts'
import type { ObjectStore } from '../core/ports.ts'
import { adoptionsIn } from '../db/adoptions.ts'
import { openClock } from '../db/clock.ts'
import { type Pairings, pairingsIn } from '../db/pairing.ts'
import { readConfig } from '../environment.ts'
import { adopt } from '../jobs/adopt.ts'
import { mark, newMarker, replacePair } from '../pairing.ts'
import { withEngine, withStore } from './engine-at.ts'
import { operator } from './uploads.ts'

interface RestoreContext {
  config: Config
  pairings: Pairings
  store: ObjectStore
}

/** Adds `landfall store …`, `landfall restore …` and `landfall deleted …` to `program`. */
export function addRestoreCommands(program: Command, print: (line: string) => void): void {
  const store = program.command('store').description('which store belongs to this database')
  store
    .command('show')
    .description('print what the database and the store say of each other')
    .action(() => withContext(async (context) => print(await describe(context))))
  store
    .command('pair')
    .description('make the configured store that of this database')
    .option(
      '--replace',
      'also when either of them belongs to another one; uploads that go on in the old store are lost',
    )
    .action(({ replace = false }: { replace?: boolean }) =>
      withContext(async (context) => print(await pairStore(context, replace))),
    )

  const restore = program.command('restore').description('go on with a database that was restored from a backup')
  restore
    .command('accept')
    .description('go on with the database as it is; open uploads and deletions get their full time anew')
    .action(() => withContext(async (context) => print(await accept(context))))
  restore
    .command('adopt')
    .description(
      'make rows of the objects that the database does not know, by what they say of themselves; then accept',
    )
    .option('-n, --dry-run', 'say what it would do, and change nothing')
    .action(({ dryRun = false }: { dryRun?: boolean }) =>
      withContext((context) => adoptObjects(context, dryRun, print)),
    )

  const deleted = program.command('deleted').description('files that were deleted and are still in the store')
  deleted
    .command('list')
    .description('print them, the next to go first')
    .action(() =>
      withEngine(readConfig(), async ({ database }) => {
        for (const { id, owner, filename, dueAt } of await adoptionsIn(database).deleted())
          print([id, dueAt.toISOString().slice(0, 19), owner, filename.replace(/\p{C}/gu, '\ufffd')].join('\t'))
      }),
    )
  deleted
    .command('restore')
    .description('make a deleted file a file again')
    .argument('<id>', 'which upload')
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

async function describe({ pairings, store }: RestoreContext): Promise<string> {
  const [row, marker] = [await pairings.find(), await readMarker(store)]
  const pairingState = row ? pairingStateOf(row, marker) : null
  const words =
    pairingState === null
      ? 'this database has no store yet'
      : pairingState.is === 'paired'
        ? 'they belong together'
        : pairingState.reason
  return [`database  ${JSON.stringify(row)}`, `store     ${JSON.stringify(marker)}`, words].join('\n')
}

async function pairStore({ pairings, store }: RestoreContext, isForced: boolean): Promise<string> {
  await store.prepare?.()
  await store.check()
  const [row, marker] = [await pairings.find(), await readMarker(store)]
  if (row && pairingStateOf(row, marker).is === 'paired') return 'the store is that of this database already'
  if (!row && !marker) {
    await mark(await pairings.insert(newMarker()), pairings, store)
    return 'the store is that of this database now'
  }
  if (!isForced)
    throw new InvalidArgumentError(
      'the database or the store belongs to another one; `landfall store show` says which. Nothing was changed; --replace makes them a pair all the same',
    )
  await replacePair(pairings, store, newMarker())
  return 'the store is that of this database now'
}

async function accept({ config, pairings, store }: RestoreContext): Promise<string> {
  const [row, marker] = [await pairings.find(), await readMarker(store)]
  if (!row)
    throw new InvalidArgumentError('this database has no store; `landfall restore adopt` makes it that of the store')
  const pairingState = pairingStateOf(row, marker)
  if (pairingState.is === 'paired') return 'the database is not older than its store; nothing was changed'
  if (pairingState.is === 'apart') throw new InvalidArgumentError(pairingState.reason)
  // Before it is accepted: a server that sees that first must find nothing due.
  const renewed = await pairings.renewTimes(config.DELETE_GRACE)
  await replacePair(pairings, store, { storeId: row.storeId, databaseId: row.databaseId, epoch: 1, counter: 1 })
  return `accepted; ${renewed} uploads have their full time anew`
}

async function adoptObjects(context: RestoreContext, isDry: boolean, print: (line: string) => void): Promise<void> {
  const { config, pairings, store } = context
  const [row, marker] = [await pairings.find(), await readMarker(store)]
  if (row && pairingStateOf(row, marker).is === 'apart')
    throw new InvalidArgumentError('the store is not that of this database; run `landfall store show`')
  const database = await openConfiguredDatabase(config, { onError: (error) => console.error(error) })
  try {
    const onSkew = (trouble: string | null) => trouble && console.error(trouble)
    const clock = await openClock({ database, onSkew, onError: console.error })
    const adoptions = adoptionsIn(database)
    const onProgress = (seen: number) => console.error(`${seen} objects seen`)
    const found = await adopt({ store, adoptions, now: clock.now, isDry, onProgress, onObject: print })
    clock.close()
    if (!isDry) {
      await pairings.renewTimes(config.DELETE_GRACE)
      if (!row && marker) await replacePair(pairings, store, marker)
      else if (row && pairingStateOf(row, marker).is === 'restored') await accept(context)
    }
    print(
      `${found.adopted} files ${isDry ? 'would be' : 'were'} adopted, ${found.completed} uploads completed, ${found.unknown} objects say nothing of themselves, ${found.known} were known${isDry ? '; nothing was changed' : ''}`,
    )
  } finally {
    await database.close()
  }
}
