import { type Config, ConfigError } from '../../config.ts'
import { probeAddress } from './address.ts'
import { probeBucket } from './bucket.ts'
import { probeDatabase } from './database.ts'
import { about, type Finding, reasonOf, type Subject } from './finding.ts'
import { probeFolder } from './folder.ts'
import { activePolicies } from './policies.ts'

export interface DoctorOptions {
  /** The URL at which clients reach the server, if not PUBLIC_URL. */
  url?: string | undefined
}

/**
 * Tests everything that Landfall depends on: folder, database, bucket, address and proxy. Leaves nothing behind, and is safe while
 * servers run. A probe that fails itself is a finding too.
 */
export async function* examine(read: () => Config, { url }: DoctorOptions = {}): AsyncGenerator<Finding> {
  let config: Config
  try {
    config = read()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const problem of error.problems)
      yield about('configuration').error(
        problem,
        '`landfall config --example` prints every setting with its description.',
      )
    return
  }
  yield about('configuration').ok(
    `the configuration is valid: ${config.isDevelopment ? 'development' : 'production'}, files go to ${config.STORE}`,
  )
  yield* unlessItFails('folder', probeFolder(config))
  yield* unlessItFails('database', probeDatabase(config))
  const effective = { ...config, POLICIES: await activePolicies(config) }
  yield* unlessItFails('bucket', probeBucket(effective))
  yield* unlessItFails('address', probeAddress(effective, url))
}

async function* unlessItFails(subject: Subject, probe: AsyncGenerator<Finding>): AsyncGenerator<Finding> {
  try {
    yield* probe
  } catch (error) {
    yield about(subject).error(
      `the test ended with an error (${reasonOf(error)})`,
      'A response could not be interpreted: see the log of the component that sent it.',
    )
  }
}

const marks = { ok: 'ok     ', warning: 'WARNING', error: 'ERROR  ' }

/** A finding as text for an operator. */
export function printFinding({ about: subject, status, message, fix }: Finding): string {
  const first = `${marks[status]} ${subject.padEnd(13)} ${message}`
  return fix === undefined ? first : `${first}\n${' '.repeat(21)} → ${fix}`
}
