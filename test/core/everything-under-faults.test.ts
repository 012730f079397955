import { describe, it } from 'vitest'
import { isUploadError } from '../../src/core/errors/error.ts'
import { checkAfterwards } from './model/check.ts'
import { create } from './model/creation.ts'
import { bringToEnd } from './model/honest-end.ts'
import { Violation } from './model/known-upload.ts'
import { operationOn } from './model/operations.ts'
import { openWorld, type World } from './model/world.ts'

/*
 * Everything that anybody may do, in any order and beside each other, on two nodes whose store and database fail, answer late, or
 * whose processes die; and a model that knows what every client was told. Afterwards the weather clears, honest clients
 * bring their files to an end, the background work runs, and what is there must be what was said.
 *
 * A seed that fails prints its story. EVERYTHING_SEED=17 runs that one, EVERYTHING_ROUNDS=1000 more of them.
 */
const firstSeed = Number(process.env.EVERYTHING_SEED ?? 1)
const rounds = Number(process.env.EVERYTHING_ROUNDS ?? (process.env.EVERYTHING_SEED ? 1 : 30))
const seeds = Array.from({ length: rounds }, (_, index) => firstSeed + index)

describe.concurrent('everything under faults', () => {
  it.each(seeds)('what was said is true, and nothing else is left (seed %i)', { timeout: 120_000 }, async (seed) => {
    const world = await openWorld(`everything/${seed}`)
    try {
      await run(world)
      await settleAll(world)
    } catch (error) {
      const message = `seed ${seed}: ${error}\n${world.story.join('\n')}`
      throw new Error(message, { cause: error })
    }
  })
})

/** Batches of things that are done at once, mostly to the same upload. */
async function run(world: World): Promise<void> {
  const { random } = world
  const periodicJobs = random.fork('chores')
  for (let batch = random.int(4, 12); batch > 0; batch -= 1) {
    const choice = random.fork(`batch ${batch}`)
    if (world.uploads.length === 0 || choice.chance(0.15)) await create(world, choice.fork('create'))
    if (world.uploads.length === 0) continue
    const known = choice.pick(world.uploads)
    const work = Array.from({ length: choice.pick([1, 1, 2, 3, 5]) }, (_, index) => {
      const one = choice.fork(`work ${index}`)
      return operationOn(one)(world, one, one.chance(0.8) ? known : one.pick(world.uploads))
    })
    if (periodicJobs.chance(0.08)) work.push(replaced(world, periodicJobs))
    if (periodicJobs.chance(0.25)) work.push(maintain(world, periodicJobs))
    if (periodicJobs.chance(0.03)) {
      world.travel(periodicJobs)
      world.say('time passes')
    }
    await allOf(work)
  }
}

async function replaced(world: World, periodicJobs: World['random']): Promise<void> {
  world.say('a node is replaced')
  await world.replace(periodicJobs)
}

async function maintain(world: World, periodicJobs: World['random']): Promise<void> {
  const node = await world.node(periodicJobs)
  world.say('jobs …')
  const failed = (error: unknown) => {
    const faults: unknown[] = error instanceof AggregateError ? error.errors : [error]
    for (const fault of faults)
      if (!isUploadError(fault, 'STORE_UNAVAILABLE', 'DATABASE_ERROR'))
        throw new Violation('the jobs', { cause: fault })
  }
  await Promise.race([world.runJobs(node).catch(failed), node.died])
  world.say('jobs done')
}

/** The first that fails, when all have ended. */
async function allOf(work: Promise<unknown>[]): Promise<void> {
  const settled = await Promise.allSettled(work)
  for (const one of settled) if (one.status === 'rejected') throw one.reason
}

async function settleAll(world: World): Promise<void> {
  world.say('the weather clears')
  const node = await world.calm()
  for (const living of world.living()) await living.engine.drained()
  for (const known of world.uploads) if (world.random.chance(0.8)) await bringToEnd(world, node, known)
  world.say('everybody goes home')
  for (const later of [0, 1, 1]) {
    for (let times = later; times > 0; times -= 1) world.passTime()
    await world.runJobs(node)
    for (const living of [...world.living(), node]) await living.engine.drained()
  }
  await checkAfterwards(world, node)
}
