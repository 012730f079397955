/** Decodes the values of a tus `Upload-Metadata` header: `filename film.mp4, note …`. A header that is not valid is returned unchanged. */
export function readMetadata(header: string): string {
  try {
    return header
      .split(',')
      .map((pair) => {
        const [name = '', value] = pair.trim().split(' ')
        return value === undefined ? name : `${name} ${decode(value)}`
      })
      .join(', ')
  } catch {
    return header
  }
}

function decode(base64: string): string {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
}
