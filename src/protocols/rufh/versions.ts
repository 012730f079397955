import type { IncomingHttpHeaders } from 'node:http'

/**
 * What a client's draft of "Resumable Uploads for HTTP" (draft-ietf-httpbis-resumable-upload) asks of an answer. A draft
 * is named by its interop version; the header disappears with the RFC, and so do the old rows of this file.
 */
export interface Dialect {
  /** The interop version whose rules are followed. */
  version: number
  /** Whether the client named this version itself: only then may it be sent a 104. */
  isNamed: boolean
  /** 3 says `Upload-Incomplete`, the others `Upload-Complete`. */
  usesUploadIncomplete: boolean
  /** A field of the wrong type is as good as absent; before 8 it is a bad request. */
  ignoresInvalid: boolean
  /** The state headers must not be sent when the offset is asked for, and an upload that is over is 404. */
  strictHeaders: boolean
  /** `GET` of an upload asks for its offset, as `HEAD` does. */
  retrievesByGet: boolean
  /** An append must be of type `application/partial-upload`. */
  needsPartialUpload: boolean
  /** An append that does not say whether it is the last one is the last one. */
  defaultsToComplete: boolean
  /** The status of an append that leaves the upload unfinished. */
  appended: 201 | 204
  /** Progress is told by 104 while a body comes in. */
  tellsProgress: boolean
  /** The key of `Upload-Limit` for the time that is left; `null`: the draft has no such header. */
  ageKey: 'expires' | 'max-age' | null
  /** More bytes than the length are the end of the upload. */
  cancelsOnExcess: boolean
  /** There is a problem type for a completed upload, and no other is told of it; from 9 on its bytes contradict its length. */
  knowsCompleted: boolean
  /** An append to a completed upload that changes nothing gets the final answer once more; before 9 it is refused, but for `endsAtLength`. */
  repeatsFinalResponse: boolean
  /**
   * The versions of URLSession. It resumes when the connection is lost, and gives up when it reads a 5xx; tus-js-client,
   * which speaks 5 and 6 too, even starts a new upload when it reads one in answer to HEAD.
   */
  resumesOnlyAfterReset: boolean
  /**
   * The file ends where its announced length does, whatever `Upload-Complete` says. In the versions of tus-js-client: it sends the
   * last bytes of a stream, and an empty file, with `?0`, takes an offset equal to the length for success, and sends nothing more.
   */
  completesAtFullLength: boolean
}

const oldest = 3
const newest = 10

/** The dialect of a request. Without a known version: the newest, except that only 3 ever said `Upload-Incomplete`. */
export function dialectOf(headers: IncomingHttpHeaders): Dialect {
  const named = namedVersion(headers)
  return describe(named ?? ('upload-incomplete' in headers ? oldest : newest), named !== null)
}

function namedVersion(headers: IncomingHttpHeaders): number | null {
  const text = headers['upload-draft-interop-version']
  if (typeof text !== 'string' || !/^\d{1,2}$/.test(text)) return null
  const version = Number(text)
  return version >= oldest && version <= newest ? version : null
}

function describe(version: number, isNamed: boolean): Dialect {
  const endsAtLength = isNamed && (version === 5 || version === 6)
  return {
    version,
    isNamed,
    usesUploadIncomplete: version === 3,
    ignoresInvalid: version >= 8,
    strictHeaders: version <= 6,
    retrievesByGet: version >= 9,
    needsPartialUpload: version >= 6,
    defaultsToComplete: version <= 6,
    appended: version <= 6 ? 201 : 204,
    tellsProgress: version >= 5,
    ageKey: version >= 7 ? 'max-age' : version === 6 ? 'expires' : null,
    cancelsOnExcess: version >= 8,
    knowsCompleted: version < 9,
    repeatsFinalResponse: version >= 9 || endsAtLength,
    resumesOnlyAfterReset: isNamed && (version === 3 || version === 5 || version === 6),
    completesAtFullLength: endsAtLength,
  }
}
