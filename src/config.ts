import { problemsOfGiven, problemsOfSettings } from './config/problems.ts'
import { type Settings, settings } from './config/settings.ts'
import { countWorkers, defaultBudget } from './config/workers.ts'

export type Config = Omit<Settings, 'MEMORY_BUDGET' | 'WORKERS'> & {
  MEMORY_BUDGET: number
  WORKERS: number
  /** The number of this process among WORKERS, from 1; `null`: it is the only one, or starts the others. */
  worker: number | null
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
  const isDevelopment = config.NODE_ENV !== 'production'
  const workers = countWorkers({ ...config, isDevelopment })
  problems.push(...problemsOfSettings(config, workers))
  if (problems.length > 0) throw new ConfigError(problems)
  return {
    ...config,
    MEMORY_BUDGET: config.MEMORY_BUDGET ?? defaultBudget(workers),
    WORKERS: workers,
    worker: null,
    isDevelopment,
  }
}
