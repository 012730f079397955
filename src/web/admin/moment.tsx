import { formatExactly } from '../upload/format.ts'

const dayAndClock = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

/** A point in time with day, year and seconds, which tell the order of what happened. */
export function Clocked({ at }: { at: string }) {
  return (
    <time dateTime={at} title={formatExactly(at)} class="clocked">
      {dayAndClock.format(new Date(at))}
    </time>
  )
}
