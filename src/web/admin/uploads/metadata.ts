/** What `Upload-Metadata` of tus says, with its values in clear: `filename film.mp4, note …`. Other text stays as it is. */
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
