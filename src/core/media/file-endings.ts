import { isOfKind, isTextual } from './media-families.ts'

/*
 * What the ending of a file name claims. File servers and desktops choose by it what to do with a file, so an ending that claims
 * another kind than the file was found to be would undo what the media type guards. Endings that are not listed claim nothing.
 */

/** Media types that share their endings, the first of each being the usual one. A file of any of the types may have any of the endings. */
const kinds: [types: string, endings: string][] = [
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
  // Browsers on Windows say so of lists.
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

const kindsOfEnding = new Map<string, string[]>()
const usualEndings = new Map<string, string>()
for (const [types, endings] of kinds) {
  const names = types.split(' ')
  const written = endings.split(' ')
  for (const ending of written) kindsOfEnding.set(ending, [...(kindsOfEnding.get(ending) ?? []), ...names])
  if (names.length === 1) usualEndings.set(names[0]!, written[0]!)
}
// Kinds of several types, whose first ending would be wrong for most of them.
for (const pair of [
  'image/avif avif,image/heic heic,image/heif heif,video/mp4 mp4,audio/mp4 m4a,video/quicktime mov,video/3gpp 3gp',
  'video/webm webm,video/x-matroska mkv,audio/webm weba,video/x-ms-wmv wmv,audio/x-ms-wma wma',
  'application/ogg ogg,audio/ogg ogg,video/ogg ogv,text/html html,application/xhtml+xml xhtml,application/xml xml',
  'text/javascript js,text/csv csv,application/msword doc,application/vnd.ms-excel xls,application/vnd.ms-powerpoint ppt',
  'application/epub+zip epub,text/xml xml,application/zip zip,application/java-archive jar,application/vnd.android.package-archive apk',
].flatMap((pairs) => pairs.split(','))) {
  const [type, ending] = pair.split(' ') as [string, string]
  usualEndings.set(type, ending)
}

/** Text that a browser or a web server runs by what its ending says, unlike a list, a letter or the source of a program. */
const activeText = /^(text\/(html|xml|x-server-page)|application\/(xml|x-httpd-php)|.*\+xml)$/

/** Documents that are zip archives inside. */
const inZip =
  /^application\/(vnd\.(oasis\.opendocument|openxmlformats-officedocument|ms-(word|excel|powerpoint|visio))[\w.-]*|.*\+zip)$/

/**
 * `name` with an ending that does not contradict `mediaType`: one that claims another kind gives way to the usual ending of the
 * type, or is dropped where the type has none. Where the type is not known (`application/octet-stream`) there is nothing to contradict.
 */
export function agreeingName(name: string, mediaType: string): string {
  const trimmed = name.replace(/[\s.]+$/u, '')
  const [, stem, ending] = /^(.*)\.([^.\s]+)$/su.exec(trimmed) ?? []
  if (stem === undefined || ending === undefined || mediaType === 'application/octet-stream') return name
  const claimed = kindsOfEnding.get(ending.toLowerCase())
  if (claimed === undefined || claimed.some((type) => agree(type, mediaType))) return name
  const usual = usualEndings.get(mediaType) ?? (isTextual(mediaType) ? 'txt' : null)
  return usual === null ? stem : `${stem}.${usual}`
}

function agree(claimed: string, found: string): boolean {
  if (isOfKind(claimed, found) || isOfKind(found, claimed)) return true
  if (claimed === 'application/zip' && inZip.test(found)) return true
  return isTextual(claimed) && isTextual(found) && !activeText.test(claimed) && !activeText.test(found)
}
