import { type Config, ConfigError } from '../../config.ts'
import { probeAddress } from './address.ts'
import { probeBucket } from './bucket.ts'
import { probeDatabase } from './database.ts'
import { about, type Finding, reasonOf, type Subject } from './finding.ts'
import { probeFolder } from './folder.ts'
import { policiesThatHold } from './policies.ts'

export interface DoctorOptions {
  /** Where clients reach the server, when that is not PUBLIC_URL. */
  url?: string | undefined
}

/**
 * Asks everything that Landfall stands on whether it bears: folder, database, bucket, the address and the proxy before it. Nothing
 * is left behind. Servers may be running; a probe that fails in itself is a finding too.
 */
export async function* examine(read: () => Config, { url }: DoctorOptions = {}): AsyncGenerator<Finding> {
  let config: Config
  try {
    config = read()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const problem of error.problems)
      yield about('configuration').error(problem, '`landfall config --example` prints every setting and what it takes.')
    return
  }
  yield about('configuration').ok(
    `the configuration is whole: ${config.isDevelopment ? 'development' : 'production'}, files go to ${config.STORE}`,
  )
  yield* unlessItFails('folder', probeFolder(config))
  yield* unlessItFails('database', probeDatabase(config))
  const holding = { ...config, POLICIES: await policiesThatHold(config) }
  yield* unlessItFails('bucket', probeBucket(holding))
  yield* unlessItFails('address', probeAddress(holding, url))
}

async function* unlessItFails(subject: Subject, probe: AsyncGenerator<Finding>): AsyncGenerator<Finding> {
  try {
    yield* probe
  } catch (error) {
    yield about(subject).error(
      `looking at it ended with an error (${reasonOf(error)})`,
      'An answer was not understood: look at the log of the part that gave it.',
    )
  }
}

const marks = { ok: 'ok     ', warning: 'WARNING', error: 'ERROR  ' }

/** A finding as an operator reads it. */
export function printFinding({ about: subject, status, message, fix }: Finding): string {
  const first = `${marks[status]} ${subject.padEnd(13)} ${message}`
  return fix === undefined ? first : `${first}\n${' '.repeat(21)} → ${fix}`
}
