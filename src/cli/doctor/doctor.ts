import { type Config, ConfigError } from '../../config.ts'
import { longestLife } from '../../core/policy/policy.ts'
import { about, type Finding, reasonOf, type Subject } from '../../stores/finding.ts'
import { probeFolder } from '../../stores/folder-doctor.ts'
import { storeKind } from '../../stores/index.ts'
import { probeAddress } from './address.ts'
import { probeDatabase } from './database.ts'
import { activePolicies } from './policies.ts'
import { probeScanner } from './scanner.ts'

export interface DoctorOptions {
  /** The URL at which clients reach the server, if not PUBLIC_URL. */
  url?: string | undefined
}

/**
 * Tests everything that Landfall depends on: folder, database, bucket, scanner, address and proxy. Leaves nothing behind, and is safe while
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
  // The embedded database and a local store may be in one folder, which is told once.
  const told = new Set<string>()
  for await (const finding of probe(config, url)) {
    const key = JSON.stringify(finding)
    if (!told.has(key)) yield finding
    told.add(key)
  }
}

async function* probe(config: Config, url: string | undefined): AsyncGenerator<Finding> {
  if (config.DATABASE_URL === undefined) yield* unlessItFails('folder', probeFolder(config.DATA_DIR))
  yield* unlessItFails('database', probeDatabase(config))
  const effective = { ...config, POLICIES: await activePolicies(config) }
  const longestMs = longestLife(effective.POLICIES)
  yield* unlessItFails('store', storeKind(config.STORE).probe(config, longestMs))
  yield* unlessItFails('scanner', probeScanner(config))
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
