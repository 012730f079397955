import { createTurns } from '../../core/turns.ts'
import { longestMs } from './client.ts'
import { S3Error } from './errors.ts'

/** Sends a request when a connection is free. @throws S3Error NoFreeConnection after minutes; what `send` throws */
export type OnConnection = <T>(operation: string, send: () => Promise<T>) => Promise<T>

/**
 * Shares `most` connections between users, who take turns while all are in use. The queue of Node's agent is one for all: a user with a
 * thousand parts on their way would make each other user wait for a thousand parts.
 */
export function shareConnections(most: number): OnConnection {
  const turns = createTurns(most, longestMs, () => new Error('no connection to the S3 server was free'))
  return async (operation, send) => {
    await turns.begin().catch((cause: unknown) => {
      throw new S3Error(operation, 0, 'NoFreeConnection', { cause })
    })
    try {
      return await send()
    } finally {
      turns.end()
    }
  }
}
