/** How a file belongs together with others, as the client said. */
export interface Grouping {
  /** The path of the file in an uploaded folder, with its own name. */
  relativePath: string | null
  /** The same for all files that were uploaded together. */
  batch: string | null
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Reads the grouping from the `Upload-Metadata` that a client sent with tus. A value that cannot be decoded is treated as missing. */
export function groupingOf(metadata: string | null): Grouping {
  const pairs = (metadata ?? '').split(',').map((pair) => pair.trim().split(' '))
  const textOf = (name: string) => decode(pairs.find(([key]) => key === name)?.[1])
  return { relativePath: textOf('relativePath'), batch: textOf('batch') }
}

function decode(base64: string | undefined): string | null {
  if (!base64) return null
  try {
    return utf8.decode(Buffer.from(base64, 'base64'))
  } catch {
    return null
  }
}
