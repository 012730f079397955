const units = ['', 'k', 'm', 'g', 't', 'p']

/** Parses a size such as `20 MiB`, `1.5g` or `1000` into bytes; `undefined` when it is not a size. */
export function readSize(text: string): number | undefined {
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*(?:([kmgtp])i?)?b?\s*$/i.exec(text) ?? []
  if (number === undefined) return undefined
  return Math.round(Number(number) * 1024 ** units.indexOf(unit?.toLowerCase() ?? ''))
}
