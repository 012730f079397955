import type { ComponentChildren } from 'preact'
import { More } from '../upload/more.tsx'
import type { Pages } from './pages.ts'
import { Problem } from './problem.tsx'

interface PagedListProps<T> {
  pages: Pages<T>
  /** What is said when there is nothing. */
  empty: string
  /** What the button for the next page says. */
  more?: string
  /** The row of an item, with a key. */
  children(item: T): ComponentChildren
}

/** A list that is read page by page, with what can go wrong and the way to more of it. */
export function PagedList<T>({ pages, empty, more, children }: PagedListProps<T>) {
  const { items, problem, again, hasMore } = pages
  return (
    <>
      <Problem words={problem} again={again} />
      {items?.length === 0 && <p class="empty quiet">{empty}</p>}
      {items && items.length > 0 && <ol class="rows">{items.map(children)}</ol>}
      <More has={hasMore} show={pages.more} {...(more !== undefined && { words: more })} />
    </>
  )
}
