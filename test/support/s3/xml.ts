/** A tree to render as XML: an array repeats its element, `undefined` leaves it out. */
export type Xml = string | number | boolean | undefined | Xml[] | { [name: string]: Xml }

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\r': '&#13;' }

function inner(value: Xml): string {
  if (value === undefined) return ''
  if (typeof value !== 'object') return String(value).replace(/[&<>"\r]/g, (found) => entities[found] ?? found)
  return Object.entries(value)
    .map(([name, child]) => tag(name, child))
    .join('')
}

function tag(name: string, value: Xml): string {
  if (value === undefined) return ''
  if (Array.isArray(value)) return value.map((each) => tag(name, each)).join('')
  return `<${name}>${inner(value)}</${name}>`
}

/** A document with `name` as its root. Errors have no namespace, results have S3's. */
export function element(name: string, value: Xml): string {
  const namespace = name === 'Error' ? '' : ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${name}${namespace}>${inner(value)}</${name}>`
}

function plainText(text: string): string {
  const plain: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
  return text.replace(/&(#x[0-9a-f]+|#\d+|\w+);/gi, (whole, name: string) => {
    if (name.startsWith('#x')) return String.fromCodePoint(Number.parseInt(name.slice(2), 16))
    if (name.startsWith('#')) return String.fromCodePoint(Number(name.slice(1)))
    return plain[name] ?? whole
  })
}

/** The contents of every `<name>` in `text`, in order. Enough for the flat lists that S3 clients send. */
export function contentsOf(text: string, name: string): string[] {
  return [...text.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`, 'g'))].map(
    (found) => found[1] ?? '',
  )
}

/** The text of the first `<name>` in `text`. */
export function textOf(text: string, name: string): string | undefined {
  const found = contentsOf(text, name)[0]
  return found === undefined ? undefined : plainText(found).trim()
}
