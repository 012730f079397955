import { More } from '../upload/more.tsx'
import { DataTable, type DataTableProps } from './data-table.tsx'
import type { Pages } from './pages.ts'
import { Problem } from './problem.tsx'

interface PagedTableProps<T> extends Omit<DataTableProps<T>, 'items'> {
  pages: Pages<T>
  /** What is said when there is nothing. */
  empty: string
  /** What the button for the next page says. */
  more?: string
}

/** A table that is read page by page, with what can go wrong and the way to more of it. */
export function PagedTable<T>({ pages, empty, more, ...table }: PagedTableProps<T>) {
  const { items, error, refetch, hasMore } = pages
  return (
    <>
      <Problem words={error} again={refetch} />
      {items?.length === 0 && <p class="empty quiet">{empty}</p>}
      {items && items.length > 0 && <DataTable items={items} {...table} />}
      <More has={hasMore} show={pages.more} {...(more !== undefined && { words: more })} />
    </>
  )
}
