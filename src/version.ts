import { readFileSync } from 'node:fs'

const { version: number } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string
}

/** The version of this program, from package.json beside src/ or dist/. */
export const version = number
