import { errors } from '../../core/errors/errors.ts'
import type { FinalUpload, SentUpload } from '../../core/upload.ts'
import { isId } from '../../core/upload-state.ts'

/** The largest header that the server takes (64 KiB) has room for so many URLs of 125 characters. */
const maxPartials = 500

/**
 * Reads `Upload-Concat`: `partial`, or `final;` and the URLs of partial uploads, relative or absolute, separated by spaces.
 * Only URLs below `path` name uploads. Their host is ignored, because the engine checks the owner of every partial upload.
 * @throws UploadError INVALID_REQUEST
 * @see tus 1.0, extension Concatenation
 */
export function readConcat(header: string | undefined, path: string): FinalUpload | Partial<SentUpload> {
  if (header === undefined) return {}
  if (header === 'partial') return { isPartial: true }
  if (!header.startsWith('final;')) throw errors.concatInvalid()
  const urls = header.slice('final;'.length).trim().split(/ +/)
  if (urls.length > maxPartials) throw errors.tooManyPartials({ most: maxPartials })
  return { kind: 'final', isPartial: false, partials: urls.map((url) => idOf(url, path)), uploadConcat: header }
}

function idOf(url: string, path: string): string {
  let pathname = ''
  try {
    // The slash at the end of the base makes the bare name of an upload, which is a relative URL too, resolve below `path`.
    pathname = new URL(url, `http://upload.invalid${path}/`).pathname
  } catch {
    throw errors.concatNotUrl()
  }
  const at = pathname.lastIndexOf('/')
  const name = pathname.slice(at + 1)
  if (!pathname.slice(0, at).endsWith(path) || !isId(name)) throw errors.concatNotUpload()
  return name
}
