import { UploadError } from '../errors.ts'
import { matchesGlob } from '../policy/glob.ts'
import type { Rule } from './rule.ts'

const maxBytes = 1024

/** A file name is text of a sane length that the policy has nothing against; what it may contain is the object key's business. */
export const filenameRule: Rule = ({ wish, policy }) => {
  if (Buffer.byteLength(wish.filename) > maxBytes) {
    throw new UploadError('INVALID_METADATA', `A file name may have at most ${maxBytes} bytes.`)
  }
  if (!wish.filename.isWellFormed() || wish.filename.includes('\0')) {
    throw new UploadError('INVALID_METADATA', 'The file name is not valid text.')
  }
  if (policy.fileNames === null) return
  const { allow, deny, maxLength } = policy.fileNames
  // As it will be kept, so that the other way to write an umlaut is no way around.
  const name = wish.filename.normalize('NFC')
  if (maxLength !== null && [...name].length > maxLength) throw refused(`may have at most ${maxLength} characters`)
  const matches = (pattern: string) => matchesGlob(name, pattern.normalize('NFC'))
  if (deny.some(matches) || (allow !== null && !allow.some(matches))) throw refused('of this kind may not be sent')
}

function refused(what: string): UploadError {
  return new UploadError('INVALID_METADATA', `A file name ${what}.`, { rule: 'fileNames' })
}
