import { UploadError } from '../errors.ts'
import type { Rule } from './rule.ts'

const maxBytes = 1024

/** A file name is text of a sane length; what it may contain is the object key's business. */
export const filenameRule: Rule = ({ wish }) => {
  if (Buffer.byteLength(wish.filename) > maxBytes) {
    throw new UploadError('INVALID_METADATA', `A file name may have at most ${maxBytes} bytes.`)
  }
  if (!wish.filename.isWellFormed() || wish.filename.includes('\0')) {
    throw new UploadError('INVALID_METADATA', 'The file name is not valid text.')
  }
}
