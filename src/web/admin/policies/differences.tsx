import type { Difference } from '../../../client/admin-types.ts'
import { writeFlat } from './json.ts'

/** What would change: place by place, what is said there and what would be. */
export function Differences({ differences, title }: { differences: Difference[]; title: string }) {
  return (
    <section class="diff" aria-label={title}>
      <h3>{title}</h3>
      {differences.length === 0 && <p class="quiet small">Nothing: it says the same.</p>}
      <ul>
        {differences.map((difference) => (
          <li key={JSON.stringify(difference.path)} class="diff-place">
            <p class="diff-path any-text">{difference.path.join(' › ')}</p>
            {'before' in difference && (
              <p class="diff-before any-text">
                <span class="unseen">before: </span>
                <del>{words(difference.before)}</del>
              </p>
            )}
            {'after' in difference && (
              <p class="diff-after any-text">
                <span class="unseen">after: </span>
                <ins>{words(difference.after)}</ins>
              </p>
            )}
          </li>
        ))}
      </ul>
    </section>
  )
}

function words(value: unknown): string {
  if (value === null) return 'no limit'
  return typeof value === 'string' ? value : writeFlat(value)
}
