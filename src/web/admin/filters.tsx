import type { ComponentChildren } from 'preact'
import { route, setQuery } from './route.ts'

/** What is asked of the list under `name`, for the field that shows and changes it. */
export function queryParameter(name: string): { value: string; set(value: string): void } {
  return {
    value: route.value.query[name] ?? '',
    set: (value) => setQuery({ ...route.peek().query, [name]: value.trim() }),
  }
}

interface FiltersProps {
  children: ComponentChildren
  /** Fields that are folded away while nothing is asked by them. */
  more: ComponentChildren
  /** What they ask. */
  rarer: string[]
}

/** What is asked of a list. It stands in the address, so that it can be kept and sent to somebody. */
export function Filters({ children, more, rarer }: FiltersProps) {
  const { query } = route.value
  return (
    <search class="filters">
      {children}
      <details class="filters-more" open={rarer.some((name) => query[name])}>
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

/** What a field says is the time of this place; the server wants one that is the same everywhere. */
export function instantOf(local: string | undefined): string | undefined {
  const date = new Date(local ?? '')
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}
