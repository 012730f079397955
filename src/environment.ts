import { existsSync } from 'node:fs'
import { type Config, loadConfig } from './config.ts'

const loaded = new Set<string>()

/** The configuration of this process: its environment, and the .env file of the working directory for what that lacks. */
export function readConfig(): Config {
  readEnvironment()
  return loadConfig(process.env)
}

/** Adds what the environment lacks from the .env file of the working directory. `inFile`: the variables that come from there. */
export function readEnvironment(): { inFile: Set<string> } {
  if (!existsSync('.env')) return { inFile: loaded }
  const before = new Set(Object.keys(process.env))
  process.loadEnvFile('.env')
  for (const name of Object.keys(process.env)) if (!before.has(name)) loaded.add(name)
  return { inFile: loaded }
}
