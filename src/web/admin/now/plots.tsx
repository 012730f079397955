import { useState } from 'preact/hooks'
import type { Activity, Point } from '../../../contract/activity.ts'
import { formatBytes } from '../../ui/format.ts'
import { Problem } from '../problem.tsx'
import { useQuery } from '../query.ts'
import { admin } from '../session.ts'
import { type Line, Plot } from './plot.tsx'

const spans = [
  { label: '15 min', minutes: 15 },
  { label: '1 h', minutes: 60 },
  { label: '6 h', minutes: 360 },
  { label: '1 day', minutes: 1440 },
  { label: '7 days', minutes: 10_080 },
]

/** Throughput, errors and uploads of all servers together. */
export function Plots() {
  const [minutes, setMinutes] = useState(15)
  const query = useQuery(() => admin.activity(minutes, 90), { key: String(minutes), everyMs: 10_000 })
  return (
    <section class="part" aria-labelledby="plots-title">
      <div class="part-head">
        <h2 id="plots-title">Over time</h2>
        <fieldset class="segments is-small">
          <legend class="visually-hidden">How far back</legend>
          {spans.map((span) => (
            <label key={span.minutes}>
              <input
                type="radio"
                name="span"
                checked={span.minutes === minutes}
                onChange={() => setMinutes(span.minutes)}
              />
              <span>{span.label}</span>
            </label>
          ))}
        </fieldset>
      </div>
      <Problem message={query.error} />
      <div class="plots" aria-busy={query.value === null}>
        {query.value && <Charts activity={query.value} />}
      </div>
    </section>
  )
}

function Charts({ activity: { points, stepSeconds } }: { activity: Activity }) {
  // The last bucket is incomplete and would always look like a drop.
  const past = points.slice(0, -1)
  const perSecond = (field: keyof Point) => past.map((point) => Number(point[field]) / stepSeconds)
  const each = (field: keyof Point) => past.map((point) => Number(point[field]))
  const sum = (...fields: (keyof Point)[]) =>
    past.map((point) => fields.reduce((total, field) => total + Number(point[field]), 0))

  // Stored bytes, which are counted with every part. Received bytes are counted when a body ends, which may take an hour.
  const throughput: Line[] = [{ name: 'stored', tone: 'accent', values: perSecond('storedBytes'), isFilled: true }]
  const errors: Line[] = [
    { name: 'refused (4xx)', tone: 'warn', values: each('clientErrors') },
    { name: 'failed (5xx)', tone: 'bad', values: each('serverErrors'), isFilled: true },
    { name: 'store errors', tone: 'ink', values: each('storeErrors') },
  ]
  const uploads: Line[] = [
    { name: 'created', tone: 'accent', values: each('created') },
    { name: 'completed', tone: 'good', values: each('completed'), isFilled: true },
    { name: 'cancelled, expired or failed', tone: 'warn', values: sum('cancelled', 'expired', 'failed') },
  ]
  const times = past.map(({ at }) => at)
  const step = stepSeconds < 60 ? `${stepSeconds} s` : `${Math.round(stepSeconds / 60)} min`
  const whole = (value: number) => Math.round(value).toLocaleString('en')
  return (
    <>
      <Plot
        title="Throughput"
        unit="per second"
        lines={throughput}
        times={times}
        format={formatBytes}
        minCeiling={1024}
      />
      <Plot title="Errors" unit={`per ${step}`} lines={errors} times={times} format={whole} minCeiling={4} />
      <Plot title="Uploads" unit={`per ${step}`} lines={uploads} times={times} format={whole} minCeiling={4} />
    </>
  )
}
