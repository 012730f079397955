const bytesIn: Record<string, number> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

const msIn: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Bytes in `8MiB`, `1.5GiB`, `10GB` or `4096`; `null` when the text is not a size or not a whole number of bytes. */
export function parseSize(text: string): number | null {
  return measure(text, bytesIn)
}

/** Milliseconds in `500ms`, `30s`, `15m`, `24h` or `7d`; `null` when the text is not a duration. */
export function parseDuration(text: string): number | null {
  return measure(text, msIn)
}

function measure(text: string, units: Record<string, number>): number | null {
  const match = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text.trim())
  if (!match) return null
  const unit = Object.keys(units).find((name) => name.toLowerCase() === match[2]?.toLowerCase())
  if (unit === undefined) return null
  const amount = Number(match[1]) * (units[unit] as number)
  return Number.isSafeInteger(amount) ? amount : null
}
