import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'

const { version: number } = JSON.parse(readFileSync(findPackageJSON('..', import.meta.url) ?? '', 'utf8')) as {
  version: string
}

/** The version of this program, from the package.json that is nearest, whether this runs as written or bundled. */
export const version = number
