const bytesIn: Record<string, number> = {
  '': 1,
  B: 1,
  byte: 1,
  bytes: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

const msIn: Record<string, number> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 7 * 86_400_000,
  seconds: 1_000,
  minutes: 60_000,
  hours: 3_600_000,
  days: 86_400_000,
  weeks: 7 * 86_400_000,
}

/** Bytes in `8MiB`, `1.5GiB`, `10GB` or `4096`; `null` when the text is not a size or not a whole number of bytes. */
export function parseSize(text: string): number | null {
  return measure(text, bytesIn)
}

/** Milliseconds in `500ms`, `30s`, `15m`, `24h`, `7d` or `7 days`; `null` when the text is not a duration. */
export function parseDuration(text: string): number | null {
  return measure(text, msIn)
}

/** Bytes in the form that `parseSize` reads, in the largest unit that gives a whole number: `10 GiB`. */
export function writeSize(bytes: number): string {
  return write(bytes, { TiB: 2 ** 40, GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10 }, 'bytes')
}

/** Milliseconds in the form that `parseDuration` reads: `7 days`. */
export function writeDuration(ms: number): string {
  return write(ms, { days: 86_400_000, hours: 3_600_000, minutes: 60_000, seconds: 1_000 }, 'ms')
}

function write(amount: number, units: Record<string, number>, smallest: string): string {
  const [unit, factor] = Object.entries(units).find(([, factor]) => amount > 0 && amount % factor === 0) ?? [
    smallest,
    1,
  ]
  const count = amount / factor
  return `${count} ${count === 1 && unit.endsWith('s') && unit !== 'ms' ? unit.slice(0, -1) : unit}`
}

function measure(text: string, units: Record<string, number>): number | null {
  const match = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text.trim())
  if (!match) return null
  const unit = Object.keys(units).find((name) => name.toLowerCase() === match[2]?.toLowerCase())
  if (unit === undefined) return null
  const amount = Number(match[1]) * (units[unit] as number)
  return Number.isSafeInteger(amount) ? amount : null
}
