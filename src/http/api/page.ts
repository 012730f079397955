/** A page of a list, and where the next one begins. */
export interface Page<T, Cursor> {
  items: T[]
  /** `null` on the last page. */
  next: Cursor | null
}

/**
 * The first `limit` of what `find` finds. It is asked for one more, which tells whether there is a next page; `cursorOf` says
 * after which item that begins.
 */
export async function readPage<T, Cursor>(
  limit: number,
  find: (limit: number) => Promise<T[]>,
  cursorOf: (last: T) => Cursor,
): Promise<Page<T, Cursor>> {
  const found = await find(limit + 1)
  const items = found.slice(0, limit)
  const last = items.at(-1)
  return { items, next: found.length > limit && last !== undefined ? cursorOf(last) : null }
}
