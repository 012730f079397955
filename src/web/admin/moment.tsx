import { formatExactly } from '../upload/format.ts'

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' })
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })

/** A point in time as the clock has it: the order of what happened is told by seconds. */
export function Clocked({ at }: { at: string }) {
  const date = new Date(at)
  const isToday = date.toDateString() === new Date().toDateString()
  return (
    <time dateTime={at} title={formatExactly(at)} class="clocked">
      {!isToday && <span>{day.format(date)}</span>} {clock.format(date)}
    </time>
  )
}
