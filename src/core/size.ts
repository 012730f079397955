const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** Bytes for people, rounded to one decimal: `200 MiB`, `1.5 GiB`. */
export function formatSize(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${Number(value.toFixed(1))} ${units[unit]}`
}
