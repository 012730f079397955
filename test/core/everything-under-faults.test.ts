import { describe, it } from 'vitest'
import { isUploadError } from '../../src/core/errors/error.ts'
import { checkAfterwards } from './model/check.ts'
import { create } from './model/creation.ts'
import { bringToEnd } from './model/honest-end.ts'
import { Violation } from './model/known-upload.ts'
import { operationOn } from './model/operations.ts'
import { openWorld, type World } from './model/world.ts'

/*
 * Sends every kind of request, in any order and concurrently, to two nodes under injected faults: the store and the database fail or
 * answer late, nodes pause and die. A model records what each client was answered. Then the faults end, clients complete their uploads,
 * the background jobs run, and the state of the store and the database must match the model.
 *
 * A seed that fails prints its trace. EVERYTHING_SEED=17 runs that seed, EVERYTHING_ROUNDS=1000 runs a thousand.
 */
const firstSeed = Number(process.env.EVERYTHING_SEED ?? 1)
const rounds = Number(process.env.EVERYTHING_ROUNDS ?? (process.env.EVERYTHING_SEED ? 1 : 30))
const seeds = Array.from({ length: rounds }, (_, index) => firstSeed + index)

describe.concurrent('everything under faults', () => {
  it.each(seeds)('every answer holds, and nothing is left behind (seed %i)', { timeout: 120_000 }, async (seed) => {
    const world = await openWorld(`everything/${seed}`)
    try {
      await run(world)
      await settleAll(world)
    } catch (error) {
      const message = `seed ${seed}: ${error}\n${world.trace.join('\n')}`
      throw new Error(message, { cause: error })
    }
  })
})

/** Runs batches of concurrent operations, most of them on the same upload. */
async function run(world: World): Promise<void> {
  const { random } = world
  const periodicJobs = random.fork('jobs')
  for (let batch = random.int(4, 12); batch > 0; batch -= 1) {
    const choice = random.fork(`batch ${batch}`)
    if (world.uploads.length === 0 || choice.chance(0.15)) await create(world, choice.fork('create'))
    if (world.uploads.length === 0) continue
    const known = choice.pick(world.uploads)
    const work = Array.from({ length: choice.pick([1, 1, 2, 3, 5]) }, (_, index) => {
      const fork = choice.fork(`work ${index}`)
      return operationOn(fork)(world, fork, fork.chance(0.8) ? known : fork.pick(world.uploads))
    })
    if (periodicJobs.chance(0.08)) work.push(replaceNode(world, periodicJobs))
    if (periodicJobs.chance(0.25)) work.push(runJobs(world, periodicJobs))
    if (periodicJobs.chance(0.03)) {
      world.advanceClock(periodicJobs)
      world.log('the clock advances')
    }
    await allOf(work)
  }
}

async function replaceNode(world: World, periodicJobs: World['random']): Promise<void> {
  world.log('a node is replaced')
  await world.replace(periodicJobs)
}

async function runJobs(world: World, periodicJobs: World['random']): Promise<void> {
  const node = await world.node(periodicJobs)
  world.log('jobs …')
  const onError = (thrown: unknown) => {
    const errors: unknown[] = thrown instanceof AggregateError ? thrown.errors : [thrown]
    for (const error of errors)
      if (!isUploadError(error, 'STORE_UNAVAILABLE', 'DATABASE_ERROR'))
        throw new Violation('a job failed', { cause: error })
  }
  await Promise.race([world.runJobs(node).catch(onError), node.died])
  world.log('jobs done')
}

/** Waits for all of them, then rejects with the first failure. */
async function allOf(work: Promise<unknown>[]): Promise<void> {
  const settled = await Promise.allSettled(work)
  for (const result of settled) if (result.status === 'rejected') throw result.reason
}

/** Ends the faults, lets clients and jobs finish, and checks what remains. */
async function settleAll(world: World): Promise<void> {
  world.log('the faults end')
  const node = await world.endFaults()
  for (const living of world.living()) await living.engine.drained()
  for (const known of world.uploads) if (world.random.chance(0.8)) await bringToEnd(world, node, known)
  world.log('the requests have ended')
  for (const isLater of [false, true, true]) {
    if (isLater) world.passTimeToLive()
    await world.runJobs(node)
    for (const living of [...world.living(), node]) await living.engine.drained()
  }
  await checkAfterwards(world, node)
}
