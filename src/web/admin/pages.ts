import { useState } from 'preact/hooks'
import { errorMessage, type QueryOptions, type QueryState, useQuery } from './query.ts'

interface Page<T> {
  items: T[]
  next: string | number | null
}

/** A list that is loaded page by page. */
export interface Pages<T> extends Omit<QueryState<Page<T>>, 'value' | 'setData'> {
  /** `null` until the first page is loaded. */
  items: T[] | null
  hasMore: boolean
  more(): void
}

/**
 * Loads the first page, and more on request. Only a list that shows no more than its first page is refreshed periodically: a refresh
 * would discard the other pages.
 */
export function usePages<T>(
  read: (after: string | number | undefined) => Promise<Page<T>>,
  { key = '', everyMs }: QueryOptions = {},
): Pages<T> {
  const [rest, setRest] = useState<{ key: string; page: Page<T>; problem: string | null } | null>(null)
  const hasRest = rest !== null && rest.key === key
  const first = useQuery(() => read(undefined), {
    key,
    keepPrevious: true,
    // A refresh could push items off the first page; they would be missing, because the next page starts after them.
    paused: hasRest,
    ...(everyMs !== undefined && { everyMs }),
  })
  const shown = hasRest
    ? { items: [...(first.value?.items ?? []), ...rest.page.items], next: rest.page.next }
    : first.value

  async function more(): Promise<void> {
    const before = hasRest ? rest.page : { items: [], next: first.value?.next ?? null }
    if (before.next === null) return
    try {
      const page = await read(before.next)
      setRest({ key, page: { items: [...before.items, ...page.items], next: page.next }, problem: null })
    } catch (thrown) {
      setRest({ key, page: before, problem: errorMessage(thrown) })
    }
  }

  return {
    items: shown?.items ?? null,
    hasMore: (shown?.next ?? null) !== null,
    error: first.error ?? (hasRest ? rest.problem : null),
    more: () => void more(),
    refetch() {
      setRest(null)
      first.refetch()
    },
  }
}
