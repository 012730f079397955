import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'

/** The package.json that is nearest, whether this runs as written or bundled. */
export const packageFile = findPackageJSON('..', import.meta.url) ?? ''

const { version: number } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }

/** The version of this program. */
export const version = number
