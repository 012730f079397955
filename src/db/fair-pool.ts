import pg from 'pg'
import { createTurns } from '../core/turns.ts'

export interface FairPool extends pg.Pool {
  /** How many statements and transactions wait for a connection. `waitingCount` of pg is always about 0. */
  waitingForTurn(): number
}

/**
 * A connection pool whose connections are taken in turns of the users that the work is done for: pg's own queue is one for all, so a user
 * with a thousand requests would make each other user wait for a thousand statements.
 */
export function openFairPool(config: pg.PoolConfig & { max: number; connectionTimeoutMillis: number }): FairPool {
  const timeout = () => new Error('timeout: no connection was free')
  const turns = createTurns(config.max, config.connectionTimeoutMillis, timeout)
  const pool = new pg.Pool(config)
  // A connection may be lost after the pool has given it away and before the work that waits for it begins, even in the packet that made
  // it ready. Without a listener that error would end the process; the work learns of it from its first statement.
  pool.on('connect', (client) => client.on('error', () => {}))
  const connect = pool.connect.bind(pool)
  /** Connections in use. pg also emits `release` for one that came after the timeout of `connect`. */
  const inUse = new Set<pg.PoolClient>()
  pool.on('release', (_error, client) => {
    if (inUse.delete(client)) turns.end()
  })

  async function connectInTurn(): Promise<pg.PoolClient> {
    await turns.begin()
    try {
      const client = await connect()
      inUse.add(client)
      return client
    } catch (error) {
      turns.end()
      throw error
    }
  }

  type Callback = (
    error: Error | undefined,
    client: pg.PoolClient | undefined,
    done: (error?: Error | boolean) => void,
  ) => void
  return Object.assign(pool, {
    waitingForTurn: turns.waiting,
    connect(callback?: Callback) {
      const connecting = connectInTurn()
      if (!callback) return connecting
      connecting.then(
        (client) => callback(undefined, client, client.release),
        (error: Error) => callback(error, undefined, () => {}),
      )
    },
  }) as FairPool
}
