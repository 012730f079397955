/* Kills servers without a farewell and starts them again: at random moments, and in the middle of what they ask of the store. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { NodeProcess } from '../../../test/support/node-process.ts'
import type { Seeded } from '../../../test/support/seeded.ts'
import type { Ground } from './ground.ts'
import type { Ledger } from './ledger.ts'

export interface Reaper {
  kills(): number
  /** Kills nobody any more; resolves when every server is up. */
  end(): Promise<void>
}

const worstMoments = [
  'CreateMultipartUpload',
  'UploadPart',
  'CompleteMultipartUpload',
  'CompleteMultipartUpload',
  'HeadObject',
  'PutObject',
  'PutObject',
  'DeleteObject',
]

/** Begins the killing: `pauseMs` on average between two kills of one server. */
export function startReaper({ nodes, standIn }: Ground, ledger: Ledger, chance: Seeded, pauseMs: number): Reaper {
  let isOver = false
  let kills = 0
  const running = nodes.map((node, index) => haunt(node, chance.fork(`node ${index}`)))

  async function haunt(node: NodeProcess, mine: Seeded): Promise<void> {
    while (!isOver) {
      await waitForMoment(mine)
      if (isOver) return
      if (!isAlive(node.pid())) ledger.complain(`a server ended by itself: ${node.log().slice(-1500)}`)
      await node.kill()
      kills += 1
      await revive(node, mine)
    }
  }

  async function waitForMoment(mine: Seeded): Promise<void> {
    const randomMs = mine.int(0, pauseMs * 2)
    if (!standIn || mine.chance(0.5)) return void (await sleep(randomMs))
    const armed = standIn.faults.next(mine.pick(worstMoments), { delayMs: mine.int(0, 20), skip: mine.int(0, 4) })
    const patience = new AbortController()
    await Promise.race([armed.hit, sleep(randomMs + pauseMs, undefined, { signal: patience.signal }).catch(() => {})])
    patience.abort()
    armed.cancel()
    await sleep(mine.int(0, 40))
  }

  /** As a supervisor does: until it stays up. In bad weather a start may fail, and sometimes it is killed at it. */
  async function revive(node: NodeProcess, mine: Seeded): Promise<void> {
    for (;;) {
      const starting = node.start().then(
        () => true,
        () => false,
      )
      const isCutShort = !isOver && mine.chance(0.1)
      if (isCutShort) {
        await sleep(mine.int(100, 1200))
        await node.kill()
        kills += 1
      }
      if ((await starting) && !isCutShort) return
      await node.kill()
      if (!isCutShort) ledger.count('starts that failed')
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
