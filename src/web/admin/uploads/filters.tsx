import { Choice, Filter } from '../field.tsx'
import { ask, place } from '../place.ts'
import { stateWords } from '../words.ts'

const states = [['', 'any'], ...Object.entries(stateWords)] as [string, string][]
const lives = [
  ['', 'any'],
  ['true', 'being sent'],
  ['false', 'not being sent'],
] as const

/** What is asked of the list. It stands in the address, so that it can be kept and sent to somebody. */
export function Filters() {
  const { query } = place.value
  const of = (name: string) => ({
    value: query[name] ?? '',
    set: (value: string) => ask({ ...place.peek().query, [name]: value.trim() }),
  })
  const more = ['role', 'tenant', 'since', 'until', 'live']
  return (
    <search class="filters">
      <Filter label="Name or id" type="search" hint="holiday" {...of('text')} />
      <Choice label="State" choices={states} {...of('state')} />
      <Filter label="User" {...of('user')} />
      <details class="filters-more" open={more.some((name) => query[name])}>
        <summary>More</summary>
        <div class="filters">
          <Filter label="Role" {...of('role')} />
          <Filter label="Tenant" {...of('tenant')} />
          <Choice label="Right now" choices={lives} {...of('live')} />
          <Filter label="Begun after" type="datetime-local" {...of('since')} />
          <Filter label="Begun before" type="datetime-local" {...of('until')} />
        </div>
      </details>
      {Object.keys(query).length > 0 && (
        <button type="button" class="button is-quiet filters-clear" onClick={() => ask({})}>
          Clear
        </button>
      )}
    </search>
  )
}
