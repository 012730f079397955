/*
 * Many formats are zip archives: documents, books, programs. The library recognizes most of them by their entries. This file handles
 * those that it reports as a plain archive although their first entries identify them.
 */

// Entries of an Open Packaging Conventions file, the format of Office and others.
const ofPackage =
  /^(\[Content_Types\]\.xml|_rels\/|docProps\/|customXml\/|word\/|xl\/|ppt\/|visio\/|theme\/|3D\/|FixedDocSeq|Documents\/)/

/** The media type of a zip archive, by the entries in its first bytes. */
export function kindOfZip(prefix: Buffer): string {
  const [first] = entries(prefix)
  if (!first) return 'application/zip'
  if (first.name === 'mimetype') return mediaTypeIn(first.bytes) ?? 'application/zip'
  const names = [...entries(prefix)].map((entry) => entry.name)
  if (ofPackage.test(first.name)) return 'application/x-opc+zip'
  if (names.some((name) => name === 'AndroidManifest.xml' || /^classes\d*\.dex$/.test(name)))
    return 'application/vnd.android.package-archive'
  if (names.some((name) => name === 'META-INF/MANIFEST.MF')) return 'application/java-archive'
  return 'application/zip'
}

/** The local file headers in the prefix (APPNOTE.TXT 4.3.7). */
function* entries(prefix: Buffer): Generator<{ name: string; bytes: Buffer }> {
  for (let at = 0; at + 30 <= prefix.length && prefix.readUInt32LE(at) === 0x04034b50; ) {
    const nameEnd = at + 30 + prefix.readUInt16LE(at + 26)
    const start = nameEnd + prefix.readUInt16LE(at + 28)
    const end = start + prefix.readUInt32LE(at + 18)
    if (nameEnd > prefix.length) return
    yield { name: prefix.toString('utf8', at + 30, nameEnd), bytes: prefix.subarray(start, end) }
    // With a data descriptor the length follows the bytes, so the end of the entry is unknown.
    if (end === start && prefix.readUInt16LE(at + 6) & 0x08) return
    at = end
  }
}

/** The media type that OpenDocument and EPUB files have in their first entry, uncompressed. */
function mediaTypeIn(bytes: Buffer): string | null {
  const mediaType = bytes.toString('latin1').trim()
  return /^application\/[a-z0-9][a-z0-9.+-]{0,126}$/.test(mediaType) ? mediaType : null
}
