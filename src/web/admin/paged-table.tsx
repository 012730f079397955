import { More } from '../ui/more.tsx'
import { DataTable, type DataTableProps } from './data-table.tsx'
import type { Pages } from './pages.ts'
import { Problem } from './problem.tsx'

interface PagedTableProps<T> extends Omit<DataTableProps<T>, 'items'> {
  pages: Pages<T>
  /** The text for an empty table. */
  empty: string
  /** The text of the button that loads the next page. */
  more?: string
}

/** A table that is loaded page by page, with its error and the button for the next page. */
export function PagedTable<T>({ pages, empty, more, ...table }: PagedTableProps<T>) {
  const { items, error, refetch, hasMore } = pages
  return (
    <>
      <Problem message={error} retry={refetch} />
      {items?.length === 0 && <p class="empty quiet">{empty}</p>}
      {items && items.length > 0 && <DataTable items={items} {...table} />}
      <More has={hasMore} show={pages.more} {...(more !== undefined && { label: more })} />
    </>
  )
}
