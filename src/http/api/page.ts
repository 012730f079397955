/** A page of a list and the cursor of the next page. */
export interface Page<T, Cursor> {
  items: T[]
  /** `null` on the last page. */
  next: Cursor | null
}

/**
 * Reads a page of at most `limit` items with `find`. One item more is requested, to know whether there is a next page. `cursorOf` returns
 * the cursor after the last item of this page.
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
