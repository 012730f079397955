import { UploadError } from '../../core/errors/error.ts'
import type { Concat } from '../../core/upload.ts'
import { isId } from '../../core/upload-view.ts'

/** As many as the largest header that the server takes (64 KiB) has room for, with addresses of 125 characters. */
const maxPartials = 500

/**
 * What `Upload-Concat` says: `partial`, or `final;` and the URLs of partial uploads, relative or absolute, separated by
 * spaces. Only URLs below `path` name uploads; whose host they have does not matter, since their owner is checked.
 * @throws UploadError INVALID_REQUEST
 * @see tus 1.0, extension Concatenation
 */
export function readConcat(header: string | undefined, path: string): Concat | null {
  if (header === undefined) return null
  if (header === 'partial') return { kind: 'partial' }
  if (!header.startsWith('final;')) throw invalid('must be "partial", or "final;" with the URLs of partial uploads')
  const urls = header.slice('final;'.length).trim().split(/ +/)
  if (urls.length > maxPartials) throw invalid(`names more than ${maxPartials} uploads`)
  return { kind: 'final', from: urls.map((url) => idOf(url, path)), header }
}

function idOf(url: string, path: string): string {
  let pathname = ''
  try {
    // The slash at the end: "relative" is also the bare name of an upload beside this one.
    pathname = new URL(url, `http://upload.invalid${path}/`).pathname
  } catch {
    throw invalid('names something that is not a URL')
  }
  const at = pathname.lastIndexOf('/')
  const name = pathname.slice(at + 1)
  if (!pathname.slice(0, at).endsWith(path) || !isId(name))
    throw invalid('names something that is not an upload of this server')
  return name
}

function invalid(what: string): UploadError {
  return new UploadError('INVALID_REQUEST', `Upload-Concat ${what}.`)
}
