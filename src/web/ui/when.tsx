import { formatDate, formatExactly } from './format.ts'

/** A date and time; the tooltip has the exact one. */
export function When({ at }: { at: string }) {
  return (
    <time dateTime={at} title={formatExactly(at)}>
      {formatDate(at)}
    </time>
  )
}
