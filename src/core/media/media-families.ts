/*
 * One file format has many media types: the registered one, older ones, and those that browsers and cameras use. Where the first bytes
 * show the format and the client declares any of its media types, both are right, and the declared one is the more exact.
 */

/** Media types of one format, or of formats that share their first bytes. */
const families: string[][] = [
  ['image/jpeg', 'image/jpg', 'image/pjpeg', 'image/x-citrix-jpeg'],
  ['image/png', 'image/x-png', 'image/apng', 'image/vnd.mozilla.apng', 'image/x-citrix-png'],
  ['image/x-icon', 'image/vnd.microsoft.icon', 'image/ico', 'image/icon', 'image/x-win-bitmap'],
  ['image/bmp', 'image/x-bmp', 'image/x-ms-bmp', 'image/x-windows-bmp'],
  // The raw formats of cameras are based on TIFF.
  [
    'image/tiff',
    'image/tif',
    'image/x-tiff',
    'image/x-adobe-dng',
    'image/x-dng',
    'image/dng',
    'image/x-canon-cr2',
    'image/x-nikon-nef',
    'image/x-sony-arw',
    'image/x-pentax-pef',
    'image/x-samsung-srw',
    'image/x-epson-erf',
    'image/x-kodak-dcr',
    'image/x-kodak-kdc',
    'image/x-sony-sr2',
  ],
  // The file type box of these formats lists several brands; the first one need not be the most exact.
  [
    'image/heic',
    'image/heif',
    'image/heic-sequence',
    'image/heif-sequence',
    'image/avif',
    'image/avif-sequence',
    'image/avci',
  ],
  ['image/jp2', 'image/jpx', 'image/jpm', 'image/jpeg2000', 'image/jpeg2000-image', 'image/x-jpeg2000-image'],
  ['image/jxr', 'image/vnd.ms-photo'],
  [
    'image/vnd.adobe.photoshop',
    'image/psd',
    'image/x-photoshop',
    'application/photoshop',
    'application/x-photoshop',
    'application/psd',
  ],
  ['image/vnd.dwg', 'image/x-dwg', 'application/acad', 'application/dwg', 'application/x-dwg'],
  ['image/wmf', 'image/x-wmf', 'application/x-msmetafile', 'windows/metafile'],
  ['image/emf', 'image/x-emf', 'application/x-emf'],
  ['image/x-portable-anymap', 'image/x-portable-bitmap', 'image/x-portable-graymap', 'image/x-portable-pixmap'],
  ['image/vnd.djvu', 'image/x-djvu', 'image/x.djvu'],
  // Video and audio share the MP4 container. Where the first bytes do not tell which it is, application/mp4 is detected.
  ['video/mp4', 'video/x-m4v', 'video/quicktime', 'video/3gpp', 'video/3gpp2', 'application/mp4'],
  [
    'audio/mp4',
    'audio/x-m4a',
    'audio/m4a',
    'audio/x-m4b',
    'audio/x-m4p',
    'audio/aac',
    'audio/3gpp',
    'audio/3gpp2',
    'video/3gpp',
    'video/3gpp2',
    'application/mp4',
  ],
  ['video/webm', 'audio/webm'],
  [
    'video/matroska',
    'video/x-matroska',
    'audio/matroska',
    'audio/x-matroska',
    'video/x-matroska-3d',
    'video/webm',
    'audio/webm',
  ],
  ['video/vnd.avi', 'video/avi', 'video/x-msvideo', 'video/msvideo', 'video/divx'],
  [
    'video/x-ms-asf',
    'video/x-ms-wmv',
    'video/x-ms-wm',
    'audio/x-ms-wma',
    'audio/x-ms-asf',
    'application/vnd.ms-asf',
    'application/x-ms-wmz',
  ],
  ['video/mpeg', 'video/mp1s', 'video/mp2p', 'video/mpg', 'video/x-mpeg', 'video/x-mpeg2', 'video/dvd', 'video/mpv'],
  ['video/mp2t', 'video/m2ts', 'video/x-mts', 'video/vnd.dlna.mpeg-tts', 'video/avchd-stream'],
  ['video/x-flv', 'video/flv'],
  [
    'application/ogg',
    'audio/ogg',
    'video/ogg',
    'audio/opus',
    'audio/vorbis',
    'audio/x-vorbis+ogg',
    'audio/x-opus+ogg',
    'audio/speex',
    'video/x-theora+ogg',
  ],
  [
    'audio/mpeg',
    'audio/mp3',
    'audio/mpeg3',
    'audio/x-mp3',
    'audio/x-mpeg',
    'audio/x-mpeg-3',
    'audio/mpga',
    'audio/mpg',
    'audio/mp2',
  ],
  ['audio/aac', 'audio/x-aac', 'audio/aacp', 'audio/x-hx-aac-adts', 'audio/vnd.dlna.adts'],
  ['audio/wav', 'audio/x-wav', 'audio/wave', 'audio/vnd.wave', 'audio/x-pn-wav'],
  ['audio/aiff', 'audio/x-aiff', 'sound/aiff'],
  ['audio/flac', 'audio/x-flac'],
  ['audio/midi', 'audio/mid', 'audio/x-mid', 'audio/x-midi', 'audio/sp-midi'],
  ['audio/ape', 'audio/x-ape', 'audio/x-monkeys-audio'],
  ['audio/wavpack', 'audio/x-wavpack'],
  ['audio/amr', 'audio/amr-wb', 'audio/x-amr'],
  ['audio/basic', 'audio/x-au', 'audio/x-basic'],
  ['audio/x-caf', 'audio/caf'],
  ['audio/ac3', 'audio/vnd.dolby.dd-raw', 'audio/x-ac3'],
  ['application/pdf', 'application/x-pdf', 'application/acrobat', 'text/pdf', 'application/illustrator'],
  ['application/rtf', 'text/rtf', 'text/richtext', 'application/x-rtf'],
  [
    'application/postscript',
    'application/eps',
    'application/x-eps',
    'image/eps',
    'image/x-eps',
    'application/illustrator',
  ],
  ['application/zip', 'application/x-zip', 'application/x-zip-compressed', 'multipart/x-zip'],
  [
    'application/gzip',
    'application/x-gzip',
    'application/x-gtar',
    'application/x-tgz',
    'application/x-compressed-tar',
    'application/tar+gzip',
  ],
  ['application/x-bzip2', 'application/x-bzip', 'application/bzip2', 'application/x-bzip-compressed-tar'],
  ['application/x-xz', 'application/xz', 'application/x-xz-compressed-tar'],
  ['application/zstd', 'application/x-zstd', 'application/x-zstd-compressed-tar'],
  ['application/x-tar', 'application/tar', 'application/x-ustar', 'application/x-gtar'],
  ['application/vnd.rar', 'application/x-rar', 'application/x-rar-compressed', 'application/rar'],
  ['application/x-7z-compressed', 'application/7z', 'application/x-7zip'],
  [
    'application/x-msdownload',
    'application/x-dosexec',
    'application/vnd.microsoft.portable-executable',
    'application/x-msdos-program',
    'application/x-ms-dos-executable',
    'application/exe',
    'application/x-exe',
  ],
  [
    'application/x-elf',
    'application/x-executable',
    'application/x-sharedlib',
    'application/x-object',
    'application/x-pie-executable',
  ],
  [
    'application/x-sqlite3',
    'application/vnd.sqlite3',
    'application/x-sqlite',
    // A GeoPackage is an SQLite database.
    'application/geopackage+sqlite3',
  ],
  ['application/vnd.debian.binary-package', 'application/x-deb', 'application/x-debian-package'],
  ['application/x-rpm', 'application/x-redhat-package-manager'],
  ['application/x-iso9660-image', 'application/x-cd-image', 'application/x-iso-image'],
  ['application/java-vm', 'application/x-java', 'application/x-java-class'],
  ['application/java-archive', 'application/x-java-archive', 'application/x-jar'],
  ['font/ttf', 'font/sfnt', 'application/x-font-ttf', 'application/x-font-truetype', 'application/font-sfnt'],
  ['font/otf', 'application/x-font-otf', 'application/x-font-opentype', 'application/vnd.ms-opentype'],
  ['font/woff', 'application/font-woff', 'application/x-font-woff'],
  ['font/woff2', 'application/font-woff2'],
  [
    'application/x-sh',
    'application/x-shellscript',
    'application/x-bash',
    'application/x-csh',
    'application/x-perl',
    'application/x-python',
    'application/x-ruby',
    'text/x-sh',
    'text/x-shellscript',
    'text/x-python',
    'text/x-script.python',
    'text/x-perl',
    'text/x-script.perl',
    'text/x-ruby',
    'text/javascript',
    'application/javascript',
  ],
  ['application/x-httpd-php', 'application/x-php', 'text/x-php', 'text/php'],
  ['text/html', 'application/xhtml+xml'],
  ['application/xml', 'text/xml'],
]

const familiesOf = new Map<string, Set<string>[]>()
for (const family of families.map((names) => new Set(names)))
  for (const name of family) familiesOf.set(name, [...(familiesOf.get(name) ?? []), family])

/** Microsoft compound files: Word, Excel and Outlook before 2007, installers, and more. The first bytes do not tell which of them. */
const inCompoundFile =
  /^application\/(msword|vnd\.ms-(?!.*(12|asf|cab|htmlhelp|fontobject|opentype))|vnd\.visio$|x-msi$|x-msdownload$|x-ole-storage$|x-hwp$|msexcel$|mspowerpoint$|excel$)/

/** ZIP-based formats that cannot be told from a plain ZIP archive by its first entries. Office documents and EPUB books can. */
const inZip =
  /^application\/(vnd\.apple\.(pages|numbers|keynote)|(x-)?java-archive|x-jar|vnd\.android\.package-archive|x-xpinstall|vnd\.google-earth\.kmz|vnd\.comicbook\+zip|x-cbz|(x-|vnd\.)sketch|vnd\.figma|x-figma)$|^model\/vnd\.usdz\+zip$/

/** Formats that use the Open Packaging Conventions, as Microsoft Office does. */
const inPackage =
  /^application\/(vnd\.openxmlformats-officedocument\.|vnd\.ms-.*\.12$|vnd\.visio$|vnd\.ms-visio\.|vnd\.ms-xpsdocument$|oxps$)|^model\/3mf$/

/** Formats whose files are text although their names do not begin with `text/`. */
const textual =
  /^text\/|^message\/|^model\/|[+/](json|xml|yaml|csv|toml)$|^application\/(x-)?(javascript|ecmascript|typescript|json5|ndjson|jsonl|jsonlines|json-seq|jose|yaml|toml|sql|graphql|tex|latex|texinfo|troff|subrip|sh|csh|shellscript|perl|python|ruby|php|httpd-php|www-form-urlencoded|pem-file|x509-ca-cert|x509-user-cert|pkcs10|pgp-keys|pgp-signature|pgp-encrypted|ms-regedit|mpegurl|bibtex|wolfram|mathematica|n-triples|n-quads|trig|turtle|sparql-query|rtf|postscript|m3u8|diff|patch|info|java-jnlp-file|ipynb\+json|qgis|bat|ndjson|nfo)$|^application\/vnd\.(apple\.mpegurl|ms-excel\.csv|curl.*|mermaid|yaml)$|^image\/(x-xbitmap|x-xpixmap|x-portable-.*|vnd\.dxf)$|^audio\/(x-)?mpegurl$|^chemical\//

/** Whether `declared` is a right media type for a file whose first bytes show `detected`. */
export function isOfKind(declared: string, detected: string): boolean {
  if (declared === detected) return true
  if (familiesOf.get(detected)?.some((family) => family.has(declared))) return true
  if (detected === 'application/zip') return inZip.test(declared)
  if (detected === 'application/x-opc+zip') return inPackage.test(declared)
  // Office packages too: with a password they are stored as compound files.
  if (detected === 'application/x-cfb') return inCompoundFile.test(declared) || inPackage.test(declared)
  if (detected === 'application/xml') return /\+xml$/.test(declared)
  return false
}

/** Whether files of this media type are text. */
export function isTextual(mediaType: string): boolean {
  return textual.test(mediaType)
}
