/*
 * What the library does not do: formats it does not know or cannot tell by the first bytes alone, a second look where a
 * signature has only two or three bytes, and the registered name where it uses another.
 */

const names: Record<string, string> = {
  'audio/x-m4a': 'audio/mp4',
  'video/mp1s': 'video/mpeg',
  'video/mp2p': 'video/mpeg',
  'application/x-rar-compressed': 'application/vnd.rar',
  'application/eps': 'application/postscript',
  'audio/vnd.dolby.dd-raw': 'audio/ac3',
  'audio/x-ms-asf': 'audio/x-ms-wma',
  'video/x-ms-asf': 'video/x-ms-wmv',
}

/** The name by which a type is registered, or best known, in lower case and without parameters. */
export function registeredName(mediaType: string): string {
  const plain = mediaType.split(';', 1)[0]!.trim().toLowerCase()
  return names[plain] ?? plain
}

/** What must hold as well, where the signature is so short that other files begin with it by chance. */
const secondLooks: Record<string, (head: Buffer) => boolean> = {
  'image/bmp': (head) => head.length >= 18 && [12, 16, 40, 52, 56, 64, 108, 124].includes(head.readUInt32LE(14)),
  'image/gif': (head) => /^GIF8[79]a$/.test(head.toString('latin1', 0, 6)),
  'audio/aiff': (head) => /^AIF[FC]$/.test(head.toString('latin1', 8, 12)),
  // Two bytes that every fourth zlib stream begins with.
  'application/x-apple-diskimage': () => false,
  'application/x-arj': () => false,
  'application/x-cpio': (head) => head.toString('latin1', 0, 6) === '070707',
  'model/stl': () => false,
  'audio/ac3': (head) => head.length > 4 && head[4]! >> 6 !== 3 && (head[4]! & 0x3f) < 38,
  'application/x-compress': (head) => (head[2]! & 0x1f) >= 9 && (head[2]! & 0x1f) <= 16,
  'application/x-shockwave-flash': (head) => head[3]! > 0 && head[3]! < 64,
  'image/x-icon': (head) => head.length > 9 && head[4]! > 0 && head[5] === 0 && head[9] === 0,
  'font/ttf': (head) => head.length > 5 && head[5]! > 0 && head[5]! < 64,
  'video/mp2t': (head) => head.length < 377 || head[376] === 0x47 || head[388] === 0x47,
  'video/quicktime': (head) => hasBox(head),
  'audio/mpeg': (head) => head.toString('latin1', 0, 3) === 'ID3' || followsFrame(head, layer3Frame(head)),
  'audio/aac': (head) =>
    followsFrame(head, head.length > 6 ? ((head[3]! & 3) << 11) | (head[4]! << 3) | (head[5]! >> 5) : 0),
}

/** Whether `head` may well be what its signature says. */
export function isLikely(mediaType: string, head: Buffer): boolean {
  return secondLooks[mediaType]?.(head) ?? true
}

function hasBox(head: Buffer): boolean {
  const size = head.readUInt32BE(0)
  return size === 0 || size === 1 || size >= 8
}

/** Whether another frame begins where the first one ends, or nothing. Frames are shorter than what is looked at. */
function followsFrame(head: Buffer, size: number): boolean {
  if (size < 7) return false
  return size === head.length || (head[size] === 0xff && (head[size + 1]! & 0xe0) === 0xe0)
}

// ISO 11172-3 and 13818-3: kbit/s by index, kHz by index; 0 is "free", and no file begins with it.
const rates1 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
const rates2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
const frequencies: Record<number, number[]> = { 3: [44.1, 48, 32], 2: [22.05, 24, 16], 0: [11.025, 12, 8] }

/** Bytes of the MPEG layer III frame at the start; of the other two layers, which are rare, any number that passes. */
function layer3Frame(head: Buffer): number {
  if (head.length < 4) return 0
  const version = (head[1]! >> 3) & 3
  if (((head[1]! >> 1) & 3) !== 1) return head.length
  const rate = (version === 3 ? rates1 : rates2)[head[2]! >> 4] ?? 0
  const frequency = frequencies[version]?.[(head[2]! >> 2) & 3] ?? 0
  if (rate === 0 || frequency === 0) return 0
  return Math.floor(((version === 3 ? 144 : 72) * rate) / frequency) + ((head[2]! >> 1) & 1)
}

const signatures: [mediaType: string, offset: number, bytes: string][] = [
  // Where its directory lies is often beyond what is seen, and then the library gives up.
  ['image/tiff', 0, 'II\x2a\x00'],
  ['image/tiff', 0, 'MM\x00\x2a'],
  ['audio/basic', 0, '.snd\x00\x00'],
  ['image/emf', 40, ' EMF'],
  ['image/wmf', 0, '\xd7\xcd\xc6\x9a'],
  ['image/x-exr', 0, '\x76\x2f\x31\x01'],
  ['image/vnd-ms.dds', 0, 'DDS \x7c\x00\x00\x00'],
  ['image/qoi', 0, 'qoif'],
  ['image/vnd.radiance', 0, '#?RADIANCE\n'],
  ['image/vnd.djvu', 0, 'AT&TFORM'],
  ['image/ktx2', 0, '\xabKTX 20\xbb\r\n\x1a\n'],
  ['image/x-portable-bitmap', 0, 'P4\n'],
  ['image/x-portable-graymap', 0, 'P5\n'],
  ['image/x-portable-pixmap', 0, 'P6\n'],
  ['application/vnd.android.dex', 0, 'dex\n03'],
  ['application/x-hdf5', 0, '\x89HDF\r\n\x1a\n'],
  ['application/x-bplist', 0, 'bplist00'],
  // Programs that carry an archive behind them.
  ['application/x-sh', 0, '#!/'],
  ['application/x-sh', 0, '#! /'],
  ['application/vnd.rar', 0, 'Rar!\x1a\x07'],
]

/** What the library leaves open. */
export function ownSignature(head: Buffer): string | null {
  const found = signatures.find(([, offset, bytes]) => head.toString('latin1', offset, offset + bytes.length) === bytes)
  return found?.[0] ?? null
}

/**
 * Sound, film, or a box that may hold either: most brands say nothing of it, and which tracks there are is often written at
 * the end of the file.
 */
export function kindOfMovie(mediaType: string, head: Buffer): string {
  const isFilm =
    head.includes('hdlr\0\0\0\0\0\0\0\0vide', 0, 'latin1') || head.includes('hdlr\0\0\0\0mhlrvide', 0, 'latin1')
  if (mediaType === 'video/mp4') return isFilm ? 'video/mp4' : 'application/mp4'
  return mediaType === 'audio/mp4' && isFilm ? 'video/mp4' : mediaType
}
