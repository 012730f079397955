/*
 * Additions to the file-type library: formats it does not know or cannot recognize by the first bytes alone, a second check where a
 * signature has only two or three bytes, and registered names where it uses others.
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

/** The registered or best known name of a media type, in lower case and without parameters. */
export function registeredName(mediaType: string): string {
  const plain = mediaType.split(';', 1)[0]!.trim().toLowerCase()
  return names[plain] ?? plain
}

/** Second checks, for signatures so short that other files begin with them by chance. */
const secondChecks: Record<string, (prefix: Buffer) => boolean> = {
  'image/bmp': (prefix) => prefix.length >= 18 && [12, 16, 40, 52, 56, 64, 108, 124].includes(prefix.readUInt32LE(14)),
  'image/gif': (prefix) => /^GIF8[79]a$/.test(prefix.toString('latin1', 0, 6)),
  'audio/aiff': (prefix) => /^AIF[FC]$/.test(prefix.toString('latin1', 8, 12)),
  // Its two bytes begin every fourth zlib stream.
  'application/x-apple-diskimage': () => false,
  'application/x-arj': () => false,
  'application/x-cpio': (prefix) => prefix.toString('latin1', 0, 6) === '070707',
  'model/stl': () => false,
  'audio/ac3': (prefix) => prefix.length > 4 && prefix[4]! >> 6 !== 3 && (prefix[4]! & 0x3f) < 38,
  'application/x-compress': (prefix) => (prefix[2]! & 0x1f) >= 9 && (prefix[2]! & 0x1f) <= 16,
  'application/x-shockwave-flash': (prefix) => prefix[3]! > 0 && prefix[3]! < 64,
  'image/x-icon': (prefix) => prefix.length > 9 && prefix[4]! > 0 && prefix[5] === 0 && prefix[9] === 0,
  'font/ttf': (prefix) => prefix.length > 5 && prefix[5]! > 0 && prefix[5]! < 64,
  'video/mp2t': (prefix) => prefix.length < 377 || prefix[376] === 0x47 || prefix[388] === 0x47,
  'video/quicktime': (prefix) => hasBox(prefix),
  'audio/mpeg': (prefix) => prefix.toString('latin1', 0, 3) === 'ID3' || followsFrame(prefix, layer3Frame(prefix)),
  'audio/aac': (prefix) =>
    followsFrame(prefix, prefix.length > 6 ? ((prefix[3]! & 3) << 11) | (prefix[4]! << 3) | (prefix[5]! >> 5) : 0),
}

/** Whether `prefix` passes the second check of `mediaType`, if there is one. */
export function isLikely(mediaType: string, prefix: Buffer): boolean {
  return secondChecks[mediaType]?.(prefix) ?? true
}

function hasBox(prefix: Buffer): boolean {
  const size = prefix.readUInt32BE(0)
  return size === 0 || size === 1 || size >= 8
}

/** Whether the first frame is followed by another one or by the end of the file. Frames are shorter than `sniffLength`. */
function followsFrame(prefix: Buffer, size: number): boolean {
  if (size < 7) return false
  return size === prefix.length || (prefix[size] === 0xff && (prefix[size + 1]! & 0xe0) === 0xe0)
}

// ISO 11172-3 and 13818-3: kbit/s by index, kHz by index. Index 0 is the "free" format, with which no file begins.
const rates1 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
const rates2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
const frequencies: Record<number, number[]> = { 3: [44.1, 48, 32], 2: [22.05, 24, 16], 0: [11.025, 12, 8] }

/** The size of the MPEG layer III frame at the start. For the other two layers, which are rare, a size that passes the check. */
function layer3Frame(prefix: Buffer): number {
  if (prefix.length < 4) return 0
  const version = (prefix[1]! >> 3) & 3
  if (((prefix[1]! >> 1) & 3) !== 1) return prefix.length
  const rate = (version === 3 ? rates1 : rates2)[prefix[2]! >> 4] ?? 0
  const frequency = frequencies[version]?.[(prefix[2]! >> 2) & 3] ?? 0
  if (rate === 0 || frequency === 0) return 0
  return Math.floor(((version === 3 ? 144 : 72) * rate) / frequency) + ((prefix[2]! >> 1) & 1)
}

const signatures: [mediaType: string, offset: number, bytes: string][] = [
  // The library gives up when the directory of the image is beyond the prefix, as it often is.
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
  // Scripts with an archive appended.
  ['application/x-sh', 0, '#!/'],
  ['application/x-sh', 0, '#! /'],
  ['application/vnd.rar', 0, 'Rar!\x1a\x07'],
]

/** The media type by our own signatures, for what the library does not recognize. */
export function ownSignature(prefix: Buffer): string | null {
  const found = signatures.find(
    ([, offset, bytes]) => prefix.toString('latin1', offset, offset + bytes.length) === bytes,
  )
  return found?.[0] ?? null
}

/**
 * Whether an MP4 file is audio, video, or may be either: most brands leave that open, and the list of tracks is often at the end of
 * the file.
 */
export function kindOfMovie(mediaType: string, prefix: Buffer): string {
  const hasVideo =
    prefix.includes('hdlr\0\0\0\0\0\0\0\0vide', 0, 'latin1') || prefix.includes('hdlr\0\0\0\0mhlrvide', 0, 'latin1')
  if (mediaType === 'video/mp4') return hasVideo ? 'video/mp4' : 'application/mp4'
  return mediaType === 'audio/mp4' && hasVideo ? 'video/mp4' : mediaType
}
