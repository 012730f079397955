import { formatExactly, formatWhen } from './format.ts'

/** A point in time, seen from now; all of it on hovering. */
export function When({ at }: { at: string }) {
  return (
    <time dateTime={at} title={formatExactly(at)}>
      {formatWhen(at)}
    </time>
  )
}
