/* Kills servers with SIGKILL and starts them again: at random moments, and during their requests to the store. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { NodeProcess } from '../../../test/support/node-process.ts'
import type { Seeded } from '../../../test/support/seeded.ts'
import type { Environment } from './environment.ts'
import type { Model } from './model.ts'

export interface Killer {
  kills(): number
  /** Stops killing; resolves when every server is up. */
  end(): Promise<void>
}

const operations = [
  'CreateMultipartUpload',
  'UploadPart',
  'CompleteMultipartUpload',
  'CompleteMultipartUpload',
  'HeadObject',
  'PutObject',
  'PutObject',
  'DeleteObject',
]

/** Starts killing: each server every `pauseMs` on average. */
export function startKiller({ nodes, standIn }: Environment, model: Model, random: Seeded, pauseMs: number): Killer {
  let isOver = false
  let kills = 0
  const running = nodes.map((node, index) => killRepeatedly(node, random.fork(`node ${index}`)))

  async function killRepeatedly(node: NodeProcess, random: Seeded): Promise<void> {
    while (!isOver) {
      await waitForMoment(random)
      if (isOver) return
      if (!isAlive(node.pid())) model.report(`a server ended on its own: ${node.log().slice(-1500)}`)
      await node.kill()
      kills += 1
      await restart(node, random)
    }
  }

  async function waitForMoment(random: Seeded): Promise<void> {
    const randomMs = random.int(0, pauseMs * 2)
    if (!standIn || random.chance(0.5)) return void (await sleep(randomMs))
    const armed = standIn.faults.next(random.pick(operations), { delayMs: random.int(0, 20), skip: random.int(0, 4) })
    const timeout = new AbortController()
    await Promise.race([armed.hit, sleep(randomMs + pauseMs, undefined, { signal: timeout.signal }).catch(() => {})])
    timeout.abort()
    armed.cancel()
    await sleep(random.int(0, 40))
  }

  /** Starts the server until it stays up, as a supervisor does. A start may fail under faults, and some are killed. */
  async function restart(node: NodeProcess, random: Seeded): Promise<void> {
    for (;;) {
      const starting = node.start().then(
        () => true,
        () => false,
      )
      const isKilled = !isOver && random.chance(0.1)
      if (isKilled) {
        await sleep(random.int(100, 1200))
        await node.kill()
        kills += 1
      }
      if ((await starting) && !isKilled) return
      await node.kill()
      if (!isKilled) model.count('starts that failed')
      await sleep(100)
    }
  }

  return {
    kills: () => kills,
    async end() {
      isOver = true
      await Promise.all(running)
    },
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
