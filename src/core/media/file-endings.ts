import { isOfKind, isTextual } from './media-families.ts'

/*
 * Which media types the extension of a file name stands for. File servers and desktops choose by the extension how to open a file, so
 * an extension of another kind than the detected media type would undo the check of the media type. Extensions that are not listed here
 * stand for no type.
 */

/** Media types that share their extensions, the usual extension first. A file of any of the types may have any of the extensions. */
const kinds: [types: string, extensions: string][] = [
  ['image/jpeg', 'jpg jpeg jpe jfif pjpeg'],
  ['image/png', 'png apng'],
  ['image/gif', 'gif'],
  ['image/webp', 'webp'],
  ['image/avif image/heic image/heif', 'avif heic heif avifs heics'],
  ['image/bmp', 'bmp dib'],
  ['image/tiff', 'tif tiff dng cr2 nef arw pef srw'],
  ['image/x-icon', 'ico cur'],
  ['image/vnd.adobe.photoshop', 'psd psb'],
  ['image/svg+xml', 'svg svgz'],
  ['video/mp4 audio/mp4 video/quicktime video/3gpp application/mp4', 'mp4 m4v m4a m4b mov qt 3gp 3g2 mp4v aac'],
  ['video/webm video/x-matroska audio/webm', 'webm mkv mka weba mk3d'],
  ['video/vnd.avi', 'avi divx'],
  ['video/x-ms-wmv audio/x-ms-wma', 'wmv wma asf'],
  ['video/mpeg', 'mpg mpeg mpe m1v m2v vob'],
  ['video/mp2t', 'ts mts m2ts m2t'],
  ['video/x-flv', 'flv'],
  ['audio/mpeg', 'mp3 mp2 mpga m2a'],
  ['application/ogg audio/ogg video/ogg', 'ogg oga ogv ogx opus spx'],
  ['audio/wav', 'wav wave'],
  ['audio/flac', 'flac'],
  ['audio/aac', 'aac'],
  ['audio/aiff', 'aif aiff aifc'],
  ['audio/midi', 'mid midi kar'],
  ['application/pdf', 'pdf ai'],
  ['application/postscript', 'ps eps ai'],
  ['application/rtf', 'rtf doc'],
  ['text/plain', 'txt text log tsv md markdown json yaml yml toml ini conf srt vtt ics vcf tex sql pem key ts mts cts'],
  // Browsers on Windows send CSV files as application/vnd.ms-excel.
  ['text/csv application/vnd.ms-excel', 'csv'],
  ['text/html application/xhtml+xml', 'html htm xhtml xht shtml phtml mht mhtml hta'],
  ['application/xml text/xml', 'xml xsl xslt xsd rss atom kml gpx plist'],
  [
    'application/zip application/x-opc+zip application/java-archive application/vnd.android.package-archive application/epub+zip',
    'zip docx docm dotx xlsx xlsm xltx pptx pptm potx ppsx vsdx odt ods odp odg odf epub kmz cbz jar war apk ipa xpi usdz key pages numbers sketch 3mf',
  ],
  ['application/x-cfb', 'doc dot xls xlt ppt pps msi msg vsd docx xlsx pptx'],
  ['application/gzip', 'gz tgz svgz'],
  ['application/x-bzip2', 'bz2 tbz tbz2'],
  ['application/x-xz', 'xz txz'],
  ['application/zstd', 'zst tzst'],
  ['application/x-tar', 'tar'],
  ['application/vnd.rar', 'rar cbr'],
  ['application/x-7z-compressed', '7z'],
  ['application/x-msdownload', 'exe dll scr com pif cpl sys ocx'],
  ['application/x-elf', 'elf so'],
  ['application/x-ms-shortcut', 'lnk'],
  ['application/x-shockwave-flash', 'swf'],
  ['application/wasm', 'wasm'],
  ['application/x-httpd-php', 'php php3 php4 php5 php7 phar phps'],
  ['text/x-server-page', 'asp aspx ashx asmx jsp jspx cfm cgi fcgi htaccess htpasswd'],
  ['text/javascript application/x-javascript', 'js mjs cjs jse'],
  ['application/x-sh', 'sh bash csh zsh py rb pl'],
  ['application/x-bat', 'bat cmd ps1 psm1 vbs vbe wsf wsh'],
  ['text/css', 'css'],
]

const typesOfExtension = new Map<string, string[]>()
const usualExtensions = new Map<string, string>()
for (const [typeList, extensionList] of kinds) {
  const types = typeList.split(' ')
  const extensions = extensionList.split(' ')
  for (const extension of extensions)
    typesOfExtension.set(extension, [...(typesOfExtension.get(extension) ?? []), ...types])
  if (types.length === 1) usualExtensions.set(types[0]!, extensions[0]!)
}
// In rows with several types, the first extension would be wrong for most of the types.
for (const pair of [
  'image/avif avif,image/heic heic,image/heif heif,video/mp4 mp4,audio/mp4 m4a,video/quicktime mov,video/3gpp 3gp',
  'video/webm webm,video/x-matroska mkv,audio/webm weba,video/x-ms-wmv wmv,audio/x-ms-wma wma',
  'application/ogg ogg,audio/ogg ogg,video/ogg ogv,text/html html,application/xhtml+xml xhtml,application/xml xml',
  'text/javascript js,text/csv csv,application/msword doc,application/vnd.ms-excel xls,application/vnd.ms-powerpoint ppt',
  'application/epub+zip epub,text/xml xml,application/zip zip,application/java-archive jar,application/vnd.android.package-archive apk',
].flatMap((pairs) => pairs.split(','))) {
  const [type, extension] = pair.split(' ') as [string, string]
  usualExtensions.set(type, extension)
}

/** Text that browsers render or web servers execute because of its extension, unlike CSV, plain text or source code. */
const activeText = /^(text\/(html|xml|x-server-page)|application\/(xml|x-httpd-php)|.*\+xml)$/

/** Document formats whose files are ZIP archives. */
const inZip =
  /^application\/(vnd\.(oasis\.opendocument|openxmlformats-officedocument|ms-(word|excel|powerpoint|visio))[\w.-]*|.*\+zip)$/

/**
 * `name` with an extension that does not contradict `mediaType`: an extension of another kind is replaced by the usual extension of the
 * type, or removed when the type has none. With an unknown type (`application/octet-stream`) the name stays as it is.
 */
export function agreeingName(name: string, mediaType: string): string {
  const trimmed = name.replace(/[\s.]+$/u, '')
  const [, stem, extension] = /^(.*)\.([^.\s]+)$/su.exec(trimmed) ?? []
  if (stem === undefined || extension === undefined || mediaType === 'application/octet-stream') return name
  const claimed = typesOfExtension.get(extension.toLowerCase())
  if (claimed === undefined || claimed.some((type) => agree(type, mediaType))) return name
  const usual = usualExtensions.get(mediaType) ?? (isTextual(mediaType) ? 'txt' : null)
  return usual === null ? stem : `${stem}.${usual}`
}

function agree(claimed: string, detected: string): boolean {
  if (isOfKind(claimed, detected) || isOfKind(detected, claimed)) return true
  if (claimed === 'application/zip' && inZip.test(detected)) return true
  return isTextual(claimed) && isTextual(detected) && !activeText.test(claimed) && !activeText.test(detected)
}
