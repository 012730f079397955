/** What a client said of the place of a file among others. */
export interface Grouping {
  /** Where the file was in a folder that was sent, its own name included. */
  relativePath: string | null
  /** The same for files that were sent together. */
  batch: string | null
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Reads the grouping from the `Upload-Metadata` that a client sent with tus. Whatever cannot be read is as good as not said. */
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
