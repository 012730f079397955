import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { normalizeMediaType } from '../../src/core/media/media-type.ts'
import { resolveMediaType } from '../../src/core/media/resolve.ts'
import { servedTypeOf } from '../../src/core/media/served-type.ts'
import { sniff, sniffLength } from '../../src/media/sniff.ts'
import { cpuTimeOf } from '../support/cpu-time.ts'
import { built, bytes, declared, noise, png, real } from './built.ts'

const office = 'application/vnd.openxmlformats-officedocument'
const opened = 'application/vnd.oasis.opendocument'

/** The media types of files in heads/; heads.sh shows how they were made. */
const heads: Record<string, string | null> = {
  '3gp.3gp': 'video/3gpp',
  'aac.aac': 'audio/aac',
  'ac3.ac3': 'audio/ac3',
  'aiff.aiff': 'audio/aiff',
  'apk.apk': 'application/vnd.android.package-archive',
  'apng.apng': 'image/png',
  'au.au': 'audio/basic',
  'avi.avi': 'video/vnd.avi',
  'avif.avif': 'image/avif',
  'bmp.bmp': 'image/bmp',
  'bzip2.bz2': 'application/x-bzip2',
  'caf.caf': 'audio/x-caf',
  'deb.deb': 'application/x-deb',
  'docm.docm': 'application/vnd.ms-word.document.macroenabled.12',
  'docx-late.docx': `${office}.wordprocessingml.document`,
  'docx.docx': `${office}.wordprocessingml.document`,
  'dotx.dotx': `${office}.wordprocessingml.template`,
  'epub.epub': 'application/epub+zip',
  'exr.exr': 'image/x-exr',
  'flac.flac': 'audio/flac',
  'flv.flv': 'video/x-flv',
  'gif-film.gif': 'image/gif',
  'gif.gif': 'image/gif',
  'gnu.tar': 'application/x-tar',
  'gzip.gz': 'application/gzip',
  'jar.jar': 'application/java-archive',
  'jp2.jp2': 'image/jp2',
  'jpeg.jpg': 'image/jpeg',
  'jpegls.jls': 'image/jls',
  'jxl.jxl': 'image/jxl',
  'keynote.key': 'application/vnd.apple.keynote',
  'kmz.kmz': 'application/zip',
  'lz4.lz4': 'application/x-lz4',
  'm2ts.m2ts': 'video/mp2t',
  'm4a.m4a': 'audio/mp4',
  'm4v.m4v': 'video/x-m4v',
  'matroska.mka': 'video/matroska',
  'mkv.mkv': 'video/matroska',
  'mov.mov': 'video/quicktime',
  'mp2.mp2': 'audio/mpeg',
  'mp3-bare.mp3': 'audio/mpeg',
  'mp3.mp3': 'audio/mpeg',
  'mp4-fast.mp4': 'video/mp4',
  'mp4-pieces.mp4': 'video/mp4',
  // Its tracks are described at its end.
  'mp4.mp4': 'application/mp4',
  'mpeg-ps.mpg': 'video/mpeg',
  'mpeg-ts.m2t': 'video/mp2t',
  'mpeg-vob.vob': 'video/mpeg',
  'odf.odf': `${opened}.formula`,
  'odg.odg': `${opened}.graphics`,
  'odp.odp': `${opened}.presentation`,
  'ods.ods': `${opened}.spreadsheet`,
  'odt.odt': `${opened}.text`,
  'oga.oga': 'audio/ogg',
  'opus.opus': 'audio/ogg',
  'package-late.pptx': 'application/x-opc+zip',
  'pax.tar': 'application/x-tar',
  'pbm.pbm': 'image/x-portable-bitmap',
  'pgm.pgm': 'image/x-portable-graymap',
  'plist.plist': 'application/x-bplist',
  'png.png': 'image/png',
  'ppm.ppm': 'image/x-portable-pixmap',
  'pptx.pptx': `${office}.presentationml.presentation`,
  'qoi.qoi': 'image/qoi',
  'speex.spx': 'audio/ogg',
  'sqlite.db': 'application/x-sqlite3',
  'tar.tgz': 'application/gzip',
  'theora.ogv': 'video/ogg',
  'tiff.tiff': 'image/tiff',
  'ustar.tar': 'application/x-tar',
  'vorbis.ogg': 'audio/ogg',
  'wav.wav': 'audio/wav',
  'wavpack.wv': 'audio/wavpack',
  'webm-sound.webm': 'video/webm',
  'webm.webm': 'video/webm',
  'webp.webp': 'image/webp',
  'wma.wma': 'audio/x-ms-wma',
  'wmv.wmv': 'video/x-ms-wmv',
  'xbm.xbm': 'text/plain',
  'xlsm.xlsm': 'application/vnd.ms-excel.sheet.macroenabled.12',
  'xlsx.xlsx': `${office}.spreadsheetml.sheet`,
  'xz.xz': 'application/x-xz',
  'zip-empty.zip': 'application/zip',
  'zip-large.zip': 'application/zip',
  'zip-of-programs.zip': 'application/zip',
  'zip-stored.zip': 'application/zip',
  'zip-streamed.zip': 'application/zip',
  'zip.zip': 'application/zip',
  'zlib.z': null,
  'zstd.zst': 'application/zstd',
}

describe('the first bytes of a real file', () => {
  it('are listed for every file of heads/', () => {
    expect(readdirSync(new URL('heads', import.meta.url)).toSorted()).toEqual(Object.keys(heads).toSorted())
  })

  it.each(Object.entries(heads))('of %s are %s', async (name, mediaType) => {
    expect((await sniff(real(name))).mediaType).toBe(mediaType)
  })
})

describe('first bytes', () => {
  it.each(built)('of %s are detected', async (_name, prefix, mediaType) => {
    expect((await sniff(prefix)).mediaType).toBe(mediaType)
  })

  it('of any length cause no error', async () => {
    for (const name of Object.keys(heads)) {
      const prefix = real(name)
      for (const size of [1, 2, 3, 4, 7, 8, 9, 12, 16, 31, 32, 33, 64, 100, 257, 262, 512, 1000])
        expect(await sniff(prefix.subarray(0, size))).toMatchObject({ isText: expect.any(Boolean) })
    }
  })

  it('take little CPU time, whatever they are', async () => {
    // A compression bomb in the entry that must be decompressed.
    const bomb = real('docx.docx')
    bomb.writeUInt32LE(0xffff_fff0, 22)
    const entries = Buffer.concat(Array.from({ length: 130 }, () => bytes('PK\x03\x04', 31)))

    for (const prefix of [
      bomb,
      entries,
      noise(sniffLength),
      Buffer.alloc(sniffLength, '<'),
      Buffer.alloc(sniffLength, '<!--'),
    ]) {
      expect(await cpuTimeOf(() => sniff(prefix))).toBeLessThan(500)
    }
  })
})

describe('the declared type of a file', () => {
  it.each(declared.map(([name, prefix, contentType, taken]) => [name, contentType, taken, prefix] as const))(
    '(%s, declared as %s) results in %s',
    async (_name, contentType, taken, prefix) => {
      const sniffed = await sniff(prefix)

      expect(resolveMediaType(contentType, sniffed)).toBe(taken)
      expect(resolveMediaType(taken, sniffed)).toBe(taken)
    },
  )

  it.each([
    ...built.map(([name, prefix]) => [name, prefix] as const),
    ...Object.keys(heads).map((name) => [name, real(name)] as const),
  ])('is stable for %s without a declared type', async (_name, prefix) => {
    const sniffed = await sniff(prefix)
    const once = resolveMediaType('application/octet-stream', sniffed)

    expect(resolveMediaType(once, sniffed)).toBe(once)
  })
})

describe('the served type', () => {
  const attachment = { contentType: 'application/octet-stream', isAttachment: true }

  it.each([
    ['image/png', 'image/png'],
    ['image/jpg', 'image/jpeg'],
    ['image/gif', 'image/gif'],
    ['image/webp', 'image/webp'],
    ['image/avif', 'image/avif'],
    ['video/mp4', 'video/mp4'],
    ['video/webm', 'video/webm'],
    ['audio/mp3', 'audio/mpeg'],
    ['audio/ogg', 'audio/ogg'],
    ['audio/x-wav', 'audio/wav'],
    ['audio/x-m4a', 'audio/mp4'],
    ['application/pdf', 'application/pdf'],
    ['text/plain', 'text/plain'],
  ])('of %s is inline, as %s', (contentType, served) => {
    expect(servedTypeOf({ contentType })).toEqual({ contentType: served })
  })

  it.each([
    'text/html',
    'text/xsl',
    'text/xml',
    'text/css',
    'text/javascript',
    'text/ecmascript',
    'text/cache-manifest',
    'text/vtt',
    'text/x-unheard-of',
    'application/xhtml+xml',
    'application/xml',
    'application/xslt+xml',
    'application/mathml+xml',
    'application/rss+xml',
    'application/vnd.wap.xhtml+xml',
    'application/vnd.openxmlformats-officedocument.theme+xml',
    'application/javascript',
    'application/x-javascript',
    'application/wasm',
    'application/manifest+json',
    'application/x-shockwave-flash',
    'application/x-silverlight',
    'application/java-archive',
    'application/hta',
    'image/svg+xml',
    'image/svg-xml',
    'model/x3d+xml',
    'multipart/x-mixed-replace',
    'multipart/related',
    'message/rfc822',
    'x-world/x-vrml',
    'application/octet-stream',
    'foo/bar',
  ])('of %s is an attachment of a type that no browser runs', (contentType) => {
    expect(servedTypeOf({ contentType })).toEqual(attachment)
  })

  it.each(['image/tiff', 'video/quicktime', 'audio/flac', 'font/woff2', 'application/zip', 'text/csv'])(
    'of %s is an attachment of its own type',
    (contentType) => {
      expect(servedTypeOf({ contentType })).toEqual({ contentType, isAttachment: true })
    },
  )

  it.each([
    'Text/XSL',
    'text/xsl; charset=utf-8',
    ' TEXT/HTML ;charset=utf-7',
    'application/xhtml+xml;profile="x"',
    'IMAGE/SVG+XML',
  ])('of %s is an attachment in any spelling', (contentType) => {
    expect(servedTypeOf({ contentType: normalizeMediaType(contentType) })).toEqual(attachment)
  })

  it('follows the first bytes, not the declared type', async () => {
    expect(
      servedTypeOf({ contentType: resolveMediaType('image/png', await sniff(bytes('<script>'))) }).isAttachment,
    ).toBe(true)
    expect(servedTypeOf({ contentType: resolveMediaType('image/png', await sniff(png)) }).isAttachment).toBeUndefined()
  })
})
