import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'

/** The nearest package.json, for the sources and for the bundle. */
export const packageFile = findPackageJSON('..', import.meta.url) ?? ''

const { version: number } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }

/** The version of this program. */
export const version = number
