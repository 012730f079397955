/*
 * Much is a zip archive inside: documents, books, programs. The library knows most of them by their entries; here is what it
 * leaves as a mere archive although its first entries say more.
 */

// Parts of an "open package": what Office writes, and others after it.
const ofPackage =
  /^(\[Content_Types\]\.xml|_rels\/|docProps\/|customXml\/|word\/|xl\/|ppt\/|visio\/|theme\/|3D\/|FixedDocSeq|Documents\/)/

/** What an archive is by the entries that its first bytes show. */
export function kindOfZip(head: Buffer): string {
  const [first] = entries(head)
  if (!first) return 'application/zip'
  if (first.name === 'mimetype') return mediaTypeIn(first.bytes) ?? 'application/zip'
  const names = [...entries(head)].map((entry) => entry.name)
  if (ofPackage.test(first.name)) return 'application/x-opc+zip'
  if (names.some((name) => name === 'AndroidManifest.xml' || /^classes\d*\.dex$/.test(name)))
    return 'application/vnd.android.package-archive'
  if (names.some((name) => name === 'META-INF/MANIFEST.MF')) return 'application/java-archive'
  return 'application/zip'
}

/** Local file headers, as far as they are to be seen (APPNOTE.TXT 4.3.7). */
function* entries(head: Buffer): Generator<{ name: string; bytes: Buffer }> {
  for (let at = 0; at + 30 <= head.length && head.readUInt32LE(at) === 0x04034b50; ) {
    const nameEnd = at + 30 + head.readUInt16LE(at + 26)
    const start = nameEnd + head.readUInt16LE(at + 28)
    const end = start + head.readUInt32LE(at + 18)
    if (nameEnd > head.length) return
    yield { name: head.toString('utf8', at + 30, nameEnd), bytes: head.subarray(start, end) }
    // With a data descriptor the length stands behind the bytes, where nobody can find it in passing.
    if (end === start && head.readUInt16LE(at + 6) & 0x08) return
    at = end
  }
}

/** OpenDocument and EPUB write what they are into their first entry, uncompressed. */
function mediaTypeIn(bytes: Buffer): string | null {
  const said = bytes.toString('latin1').trim()
  return /^application\/[a-z0-9][a-z0-9.+-]{0,126}$/.test(said) ? said : null
}
