import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { csvOf } from './csv.ts'
import { saveCsv } from './save-file.ts'
import { type Sorting, type SortValue, sorted } from './sorting.ts'

export interface Column<T> {
  name: string
  /** The value for sorting and export. */
  value(item: T): SortValue
  /** The content of the cell; default: the value. */
  cell?(item: T): ComponentChildren
  isNumber?: boolean
}

export interface DataTableProps<T> {
  /** The name of the table and of the exported file. */
  label: string
  items: readonly T[]
  columns: readonly Column<T>[]
  keyOf(item: T): string | number
  rowClass?(item: T): string
  /** The buttons of a row. */
  actions?(item: T): ComponentChildren
}

/** A table that can be sorted by any column and exported as CSV. Both apply to the loaded rows. */
export function DataTable<T>({ label, items, columns, keyOf, rowClass, actions }: DataTableProps<T>) {
  const [sorting, setSorting] = useState<Sorting | null>(null)
  const shown = sorting ? sorted(items, columns[sorting.column]!.value, sorting.isDescending) : items

  function sortBy(column: number): void {
    setSorting(
      sorting?.column === column ? { column, isDescending: !sorting.isDescending } : { column, isDescending: false },
    )
  }

  function save(): void {
    const rows = shown.map((item) => columns.map(({ value }) => value(item)))
    saveCsv(
      label.toLowerCase().replaceAll(' ', '-'),
      csvOf(
        columns.map(({ name }) => name),
        rows,
      ),
    )
  }

  return (
    <div class="data">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a table wider than the screen is scrolled with the arrow keys */}
      <section class="table-frame" aria-label={label} tabIndex={0}>
        <table>
          <thead>
            <tr>
              {columns.map(({ name, isNumber }, index) => (
                <th
                  key={name}
                  scope="col"
                  class={isNumber ? 'is-number' : ''}
                  aria-sort={
                    sorting?.column === index ? (sorting.isDescending ? 'descending' : 'ascending') : undefined
                  }
                >
                  <button type="button" class="sort" onClick={() => sortBy(index)}>
                    {name}
                  </button>
                </th>
              ))}
              {actions && (
                <th scope="col">
                  <span class="visually-hidden">Actions</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {shown.map((item) => (
              <tr key={keyOf(item)} class={rowClass?.(item)}>
                {columns.map(({ name, value, cell, isNumber }) => (
                  <td key={name} class={isNumber ? 'is-number' : ''}>
                    {cell ? cell(item) : value(item)}
                  </td>
                ))}
                {actions && <td class="is-number">{actions(item)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <button type="button" class="button is-quiet" onClick={save}>
        Export as CSV
      </button>
    </div>
  )
}
