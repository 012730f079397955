import type { UploadError } from '../../errors/error.ts'
import { errors } from '../../errors/errors.ts'
import type { FileNames } from '../fields.ts'
import { matchesGlob } from '../glob.ts'
import { fold, readingsOf, storedName } from './name-readings.ts'
import { defineRule } from './rule.ts'

const maxBytes = 1024
const fields = { fileNames: 'fileNames' } as const

/** A file name must be valid text of at most 1,024 bytes that the policy allows, in whatever way other programs may read it. */
export const filenameRule = defineRule(fields, ({ creation: { filename }, policy: { fileNames } }) => {
  if (Buffer.byteLength(filename) > maxBytes) {
    throw errors.filenameTooLong({ maxBytes })
  }
  if (!filename.isWellFormed() || filename.includes('\0')) {
    throw errors.filenameNotText()
  }
  const maxLength = fileNames?.maxLength ?? null
  if (maxLength !== null && [...filename.normalize('NFC')].length > maxLength)
    throw nameRefused(`may have at most ${maxLength} characters`)
  if (fileNames) checkName(filename, fileNames)
})

/** The name under which the file is stored must be allowed as well: its extension follows the detected media type. */
export const storedNameRule = defineRule(fields, ({ creation: { filename, contentType }, policy: { fileNames } }) => {
  if (fileNames) checkName(storedName(filename, contentType), fileNames)
})

function checkName(name: string, { allow, deny }: FileNames): void {
  // Normalized as in the object key, so that another encoding of an umlaut cannot bypass the patterns.
  const plain = name.normalize('NFC')
  if (allow !== null && !allow.some((pattern) => matchesGlob(plain, pattern.normalize('NFC')))) throw ofDeniedKind()
  if (deny.length === 0) return
  const patterns = deny.flatMap((pattern) => [pattern.normalize('NFC'), fold(pattern)])
  const readings = readingsOf(plain)
  if (patterns.some((pattern) => readings.some((reading) => matchesGlob(reading, pattern)))) throw ofDeniedKind()
}

function ofDeniedKind(): UploadError {
  return nameRefused('of this kind may not be sent')
}

function nameRefused(what: string): UploadError {
  return errors.filenameNotAllowed({ reason: what, rule: 'fileNames' })
}
