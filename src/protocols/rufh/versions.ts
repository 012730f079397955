import type { IncomingHttpHeaders } from 'node:http'

/**
 * The rules of one draft of "Resumable Uploads for HTTP" (draft-ietf-httpbis-resumable-upload). A client names its draft by the
 * interop version. That header disappears with the RFC, and then the old versions can leave this file.
 */
export interface Dialect {
  /** The interop version whose rules apply. */
  version: number
  /** The client named this version itself. Other clients get no 104. */
  isNamed: boolean
  /** Version 3 has `Upload-Incomplete`, later ones `Upload-Complete`. */
  usesUploadIncomplete: boolean
  /** A field of the wrong type counts as absent. Before 8 it is a bad request. */
  ignoresInvalid: boolean
  /** Offset retrievals and cancellations must not carry `Upload-*` headers, and an upload that has ended is 404. */
  strictHeaders: boolean
  /** GET of an upload retrieves its offset, as HEAD does. */
  retrievesByGet: boolean
  /** An append must have the type `application/partial-upload`. */
  needsPartialUpload: boolean
  /** An append without `Upload-Complete` is the last one. */
  defaultsToComplete: boolean
  /** The status of an append that leaves the upload incomplete. */
  appended: 201 | 204
  /** The server sends progress by 104 while a body arrives. */
  sendsProgress: boolean
  /** The key of `Upload-Limit` for the time until the upload expires. `null`: the draft has no such header. */
  ageKey: 'expires' | 'max-age' | null
  /** The server cancels an upload that gets more bytes than its length. */
  cancelsOnExcess: boolean
  /** The draft has a problem type for a completed upload. From 9 on, bytes beyond its end contradict its length instead. */
  knowsCompleted: boolean
  /**
   * An append to a completed upload that changes nothing gets the final answer again. Before 9 it is an error, except with
   * `completesAtFullLength`.
   */
  repeatsFinalResponse: boolean
  /**
   * The versions of URLSession. URLSession resumes after a lost connection and fails for good after a 5xx. tus-js-client, which
   * has 5 and 6 as well, creates a new upload after a 5xx to HEAD.
   */
  resumesOnlyAfterReset: boolean
  /**
   * The upload completes at its announced length, whatever `Upload-Complete` says. These are the versions of tus-js-client: it sends the
   * last bytes of a stream, and an empty file, with `?0`, takes an offset equal to the length for success, and sends nothing more.
   */
  completesAtFullLength: boolean
}

const oldest = 3
const newest = 10

const versions = Array.from({ length: newest - oldest + 1 }, (_, index) => oldest + index)
const declared = new Map(versions.map((version) => [version, rulesOf(version, true)]))
const assumed = new Map(versions.map((version) => [version, rulesOf(version, false)]))

/** The dialect of a request. Without a known version it is the newest, or 3 if there is `Upload-Incomplete`, which only 3 has. */
export function dialectOf(headers: IncomingHttpHeaders): Dialect {
  const named = namedVersion(headers)
  const version = named ?? ('upload-incomplete' in headers ? oldest : newest)
  return (named === null ? assumed : declared).get(version)!
}

function namedVersion(headers: IncomingHttpHeaders): number | null {
  const text = headers['upload-draft-interop-version']
  if (typeof text !== 'string' || !/^\d{1,2}$/.test(text)) return null
  const version = Number(text)
  return version >= oldest && version <= newest ? version : null
}

function rulesOf(version: number, isNamed: boolean): Dialect {
  const completesAtFullLength = isNamed && (version === 5 || version === 6)
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
    sendsProgress: version >= 5,
    ageKey: version >= 7 ? 'max-age' : version === 6 ? 'expires' : null,
    cancelsOnExcess: version >= 8,
    knowsCompleted: version < 9,
    repeatsFinalResponse: version >= 9 || completesAtFullLength,
    resumesOnlyAfterReset: isNamed && (version === 3 || version === 5 || version === 6),
    completesAtFullLength,
  }
}
