const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** Bytes with a unit: `812 B`, `3.4 MiB`, `10 GiB`. */
export function formatBytes(bytes: number): string {
  const unit = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** unit
  const digits = unit === 0 || value >= 100 || Number.isInteger(value) ? 0 : 1
  return `${value.toFixed(digits)} ${units[unit]}`
}

/** A rounded duration: `9 s`, `4 min`, `1 h 20 min`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours >= 24) return `${Math.round(hours / 24)} d`
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`
}

/** Whole percent, rounded down: 100 only when all bytes are there. */
export function percent(done: number, total: number): number {
  if (total === 0) return 100
  return done >= total ? 100 : Math.min(99, Math.floor((done / total) * 100))
}

// The text of the page is English; dates and times use the locale of the browser.
const dayAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' })

/** Date and time in the locale of the browser: `28 Nov 2026, 05:00`. */
export function formatDate(iso: string): string {
  return dayAndTime.format(new Date(iso))
}

/** Date and time with weekday, seconds and time zone, for a tooltip. */
export function formatExactly(iso: string): string {
  return exact.format(new Date(iso))
}
