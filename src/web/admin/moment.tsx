import { formatExactly } from '../ui/format.ts'

const dayAndClock = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

/** A date and time with seconds, which show the order of events. */
export function Timestamp({ at }: { at: string }) {
  return (
    <time dateTime={at} title={formatExactly(at)} class="timestamp">
      {dayAndClock.format(new Date(at))}
    </time>
  )
}
