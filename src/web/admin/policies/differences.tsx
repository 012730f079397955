import type { Difference } from '../../../contract/policies.ts'
import { writeFlat } from './json.ts'

/** The differences between two policy documents, field by field. */
export function Differences({ differences, title }: { differences: Difference[]; title: string }) {
  return (
    <section class="diff" aria-label={title}>
      <h3>{title}</h3>
      {differences.length === 0 && <p class="quiet small">No differences.</p>}
      <ul>
        {differences.map((difference) => (
          <li key={JSON.stringify(difference.path)} class="diff-field">
            <p class="diff-path any-text">{difference.path.join(' › ')}</p>
            {'before' in difference && (
              <p class="diff-before any-text">
                <span class="visually-hidden">before: </span>
                <del>{formatted(difference.before)}</del>
              </p>
            )}
            {'after' in difference && (
              <p class="diff-after any-text">
                <span class="visually-hidden">after: </span>
                <ins>{formatted(difference.after)}</ins>
              </p>
            )}
          </li>
        ))}
      </ul>
    </section>
  )
}

function formatted(value: unknown): string {
  if (value === null) return 'no limit'
  return typeof value === 'string' ? value : writeFlat(value)
}
