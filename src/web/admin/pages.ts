import { useState } from 'preact/hooks'
import { errorMessage, type QueryOptions, type QueryState, useQuery } from './query.ts'

interface Page<T> {
  items: T[]
  next: string | number | null
}

/** A list that is read page by page. */
export interface Pages<T> extends Omit<QueryState<Page<T>>, 'value' | 'setData'> {
  /** `null` until the first page is there. */
  items: T[] | null
  hasMore: boolean
  more(): void
}

/**
 * Asks for the first page, and for more when told. Only a list of which no more than the first page is shown is asked for anew
 * by itself: the others would lose what was read.
 */
export function usePages<T>(
  read: (after: string | number | undefined) => Promise<Page<T>>,
  { key = '', everyMs }: QueryOptions = {},
): Pages<T> {
  const [later, setLater] = useState<{ about: string; page: Page<T>; problem: string | null } | null>(null)
  const isLater = later !== null && later.about === key
  const first = useQuery(() => read(undefined), {
    key,
    keepPrevious: true,
    // What is new would push the last ones of the first page out of sight: the next page began after them.
    paused: isLater,
    ...(everyMs !== undefined && { everyMs }),
  })
  const shown = isLater
    ? { items: [...(first.value?.items ?? []), ...later.page.items], next: later.page.next }
    : first.value

  async function more(): Promise<void> {
    const before = isLater ? later.page : { items: [], next: first.value?.next ?? null }
    if (before.next === null) return
    try {
      const page = await read(before.next)
      setLater({ about: key, page: { items: [...before.items, ...page.items], next: page.next }, problem: null })
    } catch (thrown) {
      setLater({ about: key, page: before, problem: errorMessage(thrown) })
    }
  }

  return {
    items: shown?.items ?? null,
    hasMore: (shown?.next ?? null) !== null,
    error: first.error ?? (isLater ? later.problem : null),
    more: () => void more(),
    refetch() {
      setLater(null)
      first.refetch()
    },
  }
}
