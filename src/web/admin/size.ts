const units = ['', 'k', 'm', 'g', 't', 'p']

/** The bytes that `text` such as `20 MiB`, `1.5g` or `1000` means; `undefined` when it means none. */
export function readSize(text: string): number | undefined {
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*(?:([kmgtp])i?)?b?\s*$/i.exec(text) ?? []
  if (number === undefined) return undefined
  return Math.round(Number(number) * 1024 ** units.indexOf(unit?.toLowerCase() ?? ''))
}
