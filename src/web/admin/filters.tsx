import type { ComponentChildren } from 'preact'
import { route, setQuery } from './route.ts'

/** The query parameter `name` of the list, for the field that shows and changes it. */
export function queryParameter(name: string): { value: string; set(value: string): void } {
  return {
    value: route.value.query[name] ?? '',
    set: (value) => setQuery({ ...route.peek().query, [name]: value.trim() }),
  }
}

interface FiltersProps {
  children: ComponentChildren
  /** Fields that are folded while none of them has a value. */
  more: ComponentChildren
  /** The query parameters of those fields. */
  moreNames: string[]
}

/** The filters of a list. They are part of the URL, so that a filtered list can be bookmarked and shared. */
export function Filters({ children, more, moreNames }: FiltersProps) {
  const { query } = route.value
  return (
    <search class="filters">
      {children}
      <details class="filters-more" open={moreNames.some((name) => query[name])}>
        <summary>More</summary>
        <div class="filters">{more}</div>
      </details>
      {Object.keys(query).length > 0 && (
        <button type="button" class="button is-quiet filters-clear" onClick={() => setQuery({})}>
          Clear
        </button>
      )}
    </search>
  )
}

/** Converts the local time of a field into ISO 8601 in UTC, as the server expects it. */
export function instantOf(local: string | undefined): string | undefined {
  const date = new Date(local ?? '')
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}
