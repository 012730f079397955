import { useId, useState } from 'preact/hooks'
import { ceilingOf, pathOf } from './curve.ts'

export interface Line {
  name: string
  tone: 'accent' | 'good' | 'warn' | 'bad' | 'ink'
  values: number[]
  isFilled?: boolean
}

export interface PlotProps {
  title: string
  /** What a value refers to, such as “per second”. */
  unit: string
  /** All of the same length. */
  lines: Line[]
  /** ISO 8601; one for each value. */
  times: string[]
  format(value: number): string
  /** Minimum top of the scale, so that small values do not fill the plot. */
  minCeiling: number
}

const width = 320
const height = 96
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })
const dayAndClock = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

/** Values over time as lines. The pointer or the arrow keys select a time and show its values; for screen readers the plot is a slider. */
export function Plot({ title, unit, lines, times, format, minCeiling }: PlotProps) {
  const [at, setAt] = useState<number | null>(null)
  const id = useId()
  const last = times.length - 1
  const ceiling = ceilingOf(Math.max(minCeiling, ...lines.flatMap(({ values }) => values)))
  const shown = at === null ? null : Math.min(at, last)
  const isLong = times.length > 1 && Date.parse(times[last]!) - Date.parse(times[0]!) > 20 * 3600_000
  const formatTime = (time: string | undefined) => (time ? (isLong ? dayAndClock : clock).format(new Date(time)) : '')
  const xOf = (index: number) => (last === 0 ? width : (index / last) * width)

  function point(event: PointerEvent): void {
    const box = (event.currentTarget as Element).getBoundingClientRect()
    setAt(Math.max(0, Math.min(last, Math.round(((event.clientX - box.left) / box.width) * last))))
  }

  function step(event: KeyboardEvent): void {
    const change = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (change === undefined) return
    event.preventDefault()
    setAt(Math.max(0, Math.min(last, (shown ?? last) + change)))
  }

  return (
    <figure class="plot" aria-labelledby={id}>
      <figcaption id={id}>
        <strong>{title}</strong>{' '}
        <span class="quiet">{shown === null ? unit : `${formatTime(times[shown])}, ${unit}`}</span>
      </figcaption>
      <div
        class="plot-field"
        role="slider"
        aria-label={`${title}: ${summaryOf(lines, format)}`}
        aria-valuemin={0}
        aria-valuemax={last}
        aria-valuenow={shown ?? last}
        aria-valuetext={momentOf(lines, shown ?? last, formatTime(times[shown ?? last]), format)}
        tabIndex={0}
        onPointerMove={point}
        onPointerLeave={() => setAt(null)}
        onKeyDown={step}
        onBlur={() => setAt(null)}
      >
        <span class="plot-top">{format(ceiling)}</span>
        <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true" focusable="false">
          {[0.5, 1].map((part) => (
            <path key={part} class="plot-grid" d={`M0 ${height * (1 - part) + 0.5}H${width}`} />
          ))}
          {lines.map(({ name, tone, values, isFilled }) => (
            <g key={name} class={`plot-line is-${tone}`}>
              {isFilled && <path class="plot-fill" d={`${pathOf(values, ceiling, width, height)}V${height}H0Z`} />}
              <path class="plot-stroke" d={pathOf(values, ceiling, width, height)} />
            </g>
          ))}
          {shown !== null && <path class="plot-cursor" d={`M${xOf(shown)} 0V${height}`} />}
        </svg>
      </div>
      <p class="plot-times quiet" aria-hidden="true">
        <span>{formatTime(times[0])}</span>
        <span>{formatTime(times[last])}</span>
      </p>
      <ul class="plot-names">
        {lines.map(({ name, tone, values }) => (
          <li key={name} class={`is-${tone}`}>
            {name} <strong>{format(values[shown ?? last] ?? 0)}</strong>
          </li>
        ))}
      </ul>
    </figure>
  )
}

function summaryOf(lines: Line[], format: (value: number) => string): string {
  const parts = lines.map(
    ({ name, values }) => `${name}: now ${format(values.at(-1) ?? 0)}, at most ${format(Math.max(0, ...values))}`,
  )
  return parts.join('; ')
}

function momentOf(lines: Line[], at: number, time: string, format: (value: number) => string): string {
  return `${time}: ${lines.map(({ name, values }) => `${name} ${format(values[at] ?? 0)}`).join(', ')}`
}
