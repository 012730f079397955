import { formatDate, formatExactly } from './format.ts'

/** A point in time with day and year; all of it on hovering. */
export function When({ at }: { at: string }) {
  return (
    <time dateTime={at} title={formatExactly(at)}>
      {formatDate(at)}
    </time>
  )
}
