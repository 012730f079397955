import { isUploadError } from '../../core/errors/error.ts'
import { readPairs } from '../tus-metadata.ts'

/** How a file belongs together with others, as the client said. */
export interface Grouping {
  /** The path of the file in an uploaded folder, with its own name. */
  relativePath: string | null
  /** The same for all files that were uploaded together. */
  batch: string | null
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Reads the grouping from the `Upload-Metadata` that a client sent with tus. A value that is not UTF-8 is treated as missing. */
export function groupingOf(metadata: string | null): Grouping {
  const pairs = pairsOf(metadata ?? '')
  return { relativePath: decode(pairs.get('relativePath')), batch: decode(pairs.get('batch')) }
}

/** The pairs; none if the metadata is not well formed, because that must not keep a list from being read. */
function pairsOf(metadata: string): Map<string, Buffer> {
  try {
    return readPairs(metadata)
  } catch (error) {
    if (!isUploadError(error, 'INVALID_METADATA')) throw error
    return new Map()
  }
}

function decode(value: Buffer | undefined): string | null {
  if (!value?.length) return null
  try {
    return utf8.decode(value)
  } catch {
    return null
  }
}
