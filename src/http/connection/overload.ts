import type { FastifyInstance } from 'fastify'
import { UploadError } from '../../core/errors.ts'

/**
 * Answers at most `most` requests at once; more are told to come back before anything is done for them. `running` says how
 * many there are, this one included. Checks of the server's health are always answered.
 */
export function limitLoad(app: FastifyInstance, most: number, running: () => number): void {
  app.addHook('onRequest', async ({ routeOptions }) => {
    if (running() > most && !routeOptions.config.isQuiet)
      throw new UploadError('OVERLOADED', 'The server has too much to do. Please try again in a moment.', {
        rule: 'REQUESTS_AT_ONCE',
      })
  })
}
