/** Bytes of a representation; `end` is exclusive. */
export interface ByteRange {
  start: number
  end: number
}

/**
 * The range that a Range header asks of a representation of `size` bytes (RFC 9110, 14.1.2 and 14.2). `whole`: there is no such header, it has
 * another unit, or it asks for several ranges, which a server may answer with all bytes. `unsatisfiable`: no byte is in the range, or the
 * range is not well-formed.
 */
export function rangeOf(header: string | undefined, size: number): ByteRange | 'whole' | 'unsatisfiable' {
  const [, list] = /^bytes=(.*)$/i.exec(header ?? '') ?? []
  if (list === undefined || list.includes(',')) return 'whole'
  const [, first = '', last = ''] = /^[ \t]*(\d*)-(\d*)[ \t]*$/.exec(list) ?? []
  if (first === '') return last === '' ? 'unsatisfiable' : lastBytes(Number(last), size)
  const [start, end] = [Number(first), last === '' ? size : Math.min(size, Number(last) + 1)]
  return start < end ? { start, end } : 'unsatisfiable'
}

function lastBytes(count: number, size: number): ByteRange | 'unsatisfiable' {
  return count === 0 || size === 0 ? 'unsatisfiable' : { start: Math.max(0, size - count), end: size }
}
