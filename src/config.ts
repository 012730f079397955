import { totalmem } from 'node:os'
import { problemsOfGiven, problemsOfSettings } from './config/problems.ts'
import { type Settings, settings } from './config/settings.ts'

const MiB = 1024 ** 2

export type Config = Omit<Settings, 'MEMORY_BUDGET'> & {
  MEMORY_BUDGET: number
  /** Development and test: an embedded database, a generated token secret, one-time sign-in links. */
  isDevelopment: boolean
}

/** The environment is no valid configuration. `problems` has one line per problem. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly problems: string[]

  constructor(problems: string[]) {
    super(
      `the configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n  ${problems.join('\n  ')}`,
    )
    this.problems = problems
  }
}

/**
 * The configuration that `env` describes. A variable that is empty counts as not given.
 * @throws ConfigError with all problems at once
 */
export function loadConfig(env: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ''),
  )
  const read = settings.safeParse(given)
  const problems = problemsOfGiven(given)
  if (!read.success) {
    problems.push(...read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`))
    throw new ConfigError(problems)
  }

  const config = read.data
  problems.push(...problemsOfSettings(config))
  if (problems.length > 0) throw new ConfigError(problems)
  return {
    ...config,
    MEMORY_BUDGET: config.MEMORY_BUDGET ?? quarterOfMemory(),
    isDevelopment: config.NODE_ENV !== 'production',
  }
}

function quarterOfMemory(): number {
  // The memory limit of the container; without one Node returns 0 or a huge number.
  const machine = Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem())
  // With this limit a server with a thousand slow uploads stays below 512 MiB.
  return Math.min(Math.floor(machine / 4), 224 * MiB)
}
