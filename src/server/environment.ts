import { existsSync } from 'node:fs'
import { type Config, loadConfig } from '../config.ts'

const loaded = new Set<string>()

/** The configuration of this process, from its environment and, for variables missing there, the .env file of the working directory. */
export function readConfig(): Config {
  readEnvironment()
  return loadConfig(process.env)
}

/** Adds missing variables from the .env file of the working directory. @returns `inFile`, the names of those variables */
export function readEnvironment(): { inFile: Set<string> } {
  if (!existsSync('.env')) return { inFile: loaded }
  const before = new Set(Object.keys(process.env))
  process.loadEnvFile('.env')
  for (const name of Object.keys(process.env)) if (!before.has(name)) loaded.add(name)
  return { inFile: loaded }
}
