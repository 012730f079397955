/*
 * First bytes of files that no tool here writes, and files disguised as others.
 */
import { readFileSync } from 'node:fs'

/** The first bytes of a real file of test/media/heads or test/samples. */
export function real(name: string): Buffer {
  const folder = name.includes('/') ? '../' : './heads/'
  return readFileSync(new URL(folder + name, import.meta.url)).subarray(0, 4100)
}

/** Latin-1, so that `\xff` is one byte; padded with zeros to `size`. */
export function bytes(text: string, size = 0): Buffer {
  const buffer = Buffer.from(text, 'latin1')
  return Buffer.concat([buffer, Buffer.alloc(Math.max(0, size - buffer.length))])
}

/** `parts` at their offsets, with zeros between them. */
export function laid(size: number, parts: Record<number, string>): Buffer {
  const buffer = Buffer.alloc(size)
  for (const [offset, text] of Object.entries(parts)) buffer.write(text, Number(offset), 'latin1')
  return buffer
}

/** An MP4 header whose first brand is `brand`. */
export function movie(brand: string, ...compatible: string[]): Buffer {
  const brands = compatible.join('')
  const prefix = laid(16, { 4: `ftyp${brand}` })
  prefix.writeUInt32BE(16 + brands.length)
  return Buffer.concat([prefix, Buffer.from(brands), bytes('\0\0\0\x08free\0\0\x10\0mdat', 200)])
}

/** Noise without a signature; the same each time. */
export function noise(size: number): Buffer {
  const buffer = Buffer.alloc(size)
  let state = 12345
  for (let index = 0; index < size; index += 1) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    buffer[index] = state >> 16
  }
  buffer[0] = 0x03
  return buffer
}

export const png = real('png.png')
export const jpeg = real('jpeg.jpg')
export const gif = real('gif.gif')
export const html = '<!DOCTYPE html><html><body><script>alert(1)</script></body></html>'
export const script = '<script>alert(document.domain)</script>'
export const svg = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9v9z"/></svg>'
export const svgWithScript = `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)">${script}</svg>`

const wide = (text: string, mark = '\xff\xfe') => Buffer.concat([bytes(mark), Buffer.from(text, 'utf16le')])
const wideBig = (text: string) => Buffer.concat([bytes('\xfe\xff'), Buffer.from(text, 'utf16le').swap16()])

/** Name, bytes and media type; `null`: not detectable. */
export const built: [name: string, prefix: Buffer, mediaType: string | null][] = [
  // Pictures
  ['a HEIC of a phone', movie('heic', 'mif1', 'heic'), 'image/heic'],
  ['a HEIF', movie('mif1', 'heic'), 'image/heif'],
  ['a HEIF sequence', movie('msf1', 'hevc'), 'image/heif-sequence'],
  ['an AVIF sequence', movie('avis', 'avif'), 'image/avif'],
  ['a raw picture of Canon', movie('crx ', 'isom'), 'image/x-canon-cr3'],
  ['a Photoshop file', bytes('8BPS\0\x01', 26), 'image/vnd.adobe.photoshop'],
  ['an icon', bytes('\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0', 60), 'image/x-icon'],
  ['a TIFF whose directory lies beyond', bytes('II*\0\x00\x90\x01\x00', 4100), 'image/tiff'],
  ['a TIFF, big-endian', bytes('MM\0*\0\x01\x90\x00', 4100), 'image/tiff'],
  ['a BigTIFF', bytes('II+\0\x08\0\0\0', 64), 'image/tiff'],
  ['a GIF of 1987', bytes('GIF87a\x01\0\x01\0\x80\0\0', 40), 'image/gif'],
  ['a JPEG XL codestream', bytes('\xff\x0a\xfa\x7f\x01\x90', 40), 'image/jxl'],
  ['a Windows metafile', bytes('\xd7\xcd\xc6\x9a', 40), 'image/wmf'],
  ['an enhanced metafile', laid(80, { 0: '\x01\0\0\0\x6c', 40: ' EMF' }), 'image/emf'],
  ['a DirectDraw surface', bytes('DDS \x7c\0\0\0', 128), 'image/vnd-ms.dds'],
  ['a DjVu', bytes('AT&TFORM\0\0\x10\0DJVM', 40), 'image/vnd.djvu'],
  ['an icon of macOS', bytes('icns\0\0\x10\0', 40), 'image/icns'],
  // Sound and film
  ['an M4A', movie('M4A ', 'mp42', 'isom'), 'audio/mp4'],
  ['an audiobook', movie('M4B '), 'audio/mp4'],
  ['an MP4 that says nothing of its tracks', movie('mp42', 'isom'), 'application/mp4'],
  ['a fragmented MP4', movie('iso5', 'dash'), 'application/mp4'],
  ['an old QuickTime film', bytes('\0\0\0\x08wide\0\0\x10\0mdat', 64), 'video/quicktime'],
  ['a film of a phone', movie('3gp4', 'isom'), 'video/3gpp'],
  ['an AMR', bytes('#!AMR\n\x3c\x91', 40), 'audio/amr'],
  ['a MIDI', bytes('MThd\0\0\0\x06\0\x01', 40), 'audio/midi'],
  ['a MOD of Impulse Tracker', bytes('IMPM\0', 40), 'audio/x-it'],
  ['an MPEG video stream', bytes('\0\0\x01\xb3\x16\0\xf0', 64), 'video/mpeg'],
  // Documents
  ['a PDF', bytes('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n'), 'application/pdf'],
  ['a PDF of plain letters', bytes('%PDF-1.4\n1 0 obj <</Type /Catalog>>\n'), 'application/pdf'],
  ['an RTF', bytes('{\\rtf1\\ansi Landfall}'), 'application/rtf'],
  ['PostScript', bytes('%!PS-Adobe-3.0\n%%EOF'), 'application/postscript'],
  ['a Word document of 2003', bytes('\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 512), 'application/x-cfb'],
  ['an OutlookStore', bytes('!BDN\0\0\0\0', 64), 'application/vnd.ms-outlook'],
  ['a Mobipocket book', laid(100, { 0: 'Book', 60: 'BOOKMOBI' }), 'application/x-mobipocket-ebook'],
  // Programs
  [
    'a program of Windows',
    laid(512, { 0: 'MZ\x90\0\x03', 60: '\x80', 128: 'PE\0\0\x64\x86' }),
    'application/x-msdownload',
  ],
  ['a program of Linux', real('samples/program.elf'), 'application/x-elf'],
  ['a program of macOS', bytes('\xcf\xfa\xed\xfe\x0c\0\0\x01', 64), 'application/x-mach-binary'],
  ['a Java class', bytes('\xca\xfe\xba\xbe\0\0\0\x34', 64), 'application/java-vm'],
  ['an Android program', bytes('dex\n035\0', 112), 'application/vnd.android.dex'],
  ['WebAssembly', bytes('\0asm\x01\0\0\0', 40), 'application/wasm'],
  ['a Flash film', bytes('CWS\x0a\0\x10\0\0x\x9c', 40), 'application/x-shockwave-flash'],
  ['a shortcut of Windows', bytes('L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F', 76), 'application/x-ms-shortcut'],
  ['a shell script', bytes('#!/bin/sh\nrm -rf /\n'), 'application/x-sh'],
  ['a script by way of env', bytes('#! /usr/bin/env python3\nprint(1)\n'), 'application/x-sh'],
  ['PHP', bytes('<?php system($_GET["c"]);'), 'application/x-httpd-php'],
  ['PHP after a mark and a line', Buffer.from('\ufeff\n<?php echo 1;'), 'application/x-httpd-php'],
  ['short PHP', bytes('<?= 1 ?>'), 'application/x-httpd-php'],
  ['a batch file', bytes('@echo off\r\nformat c:\r\n'), 'application/x-bat'],
  // Archives and fonts
  ['a RAR', bytes('Rar!\x1a\x07\x01\0', 40), 'application/vnd.rar'],
  ['a 7z', bytes("7z\xbc\xaf'\x1c\0\x04", 40), 'application/x-7z-compressed'],
  ['a cabinet', bytes('MSCF\0\0\0\0', 40), 'application/vnd.ms-cab-compressed'],
  ['an RPM', bytes('\xed\xab\xee\xdb\x03\0', 96), 'application/x-rpm'],
  ['a TrueType font', bytes('\0\x01\0\0\0\x12\x01\0', 64), 'font/ttf'],
  ['an OpenType font', bytes('OTTO\0\x0c', 64), 'font/otf'],
  ['a WOFF2', bytes('wOF2\0\x01\0\0', 64), 'font/woff2'],
  // Markup
  ['a page', bytes(html), 'text/html'],
  ['a page after blanks and a comment', bytes(`\r\n\t <!-- ${'x'.repeat(300)} -->\n<HTML>`), 'text/html'],
  ['a page after a mark', Buffer.from(`\ufeff${html}`), 'text/html'],
  ['a page in UTF-16', wide(html), 'text/html'],
  ['a page in UTF-16, big-endian', wideBig(html), 'text/html'],
  ['a page in UTF-16 without a mark', wide(html, ''), 'text/html'],
  ['a page in Latin-1', bytes('<html><p>Gr\xfc\xdfe</p></html>'), 'text/html'],
  ['only a script', bytes(script), 'text/html'],
  ['only a frame', bytes('<iframe src=javascript:alert(1)>'), 'text/html'],
  ['only a picture with a handler', bytes('<img src=x onerror=alert(1)>'), 'text/html'],
  ['an XHTML page', bytes(`<?xml version="1.0"?>\n${html}`), 'application/xhtml+xml'],
  [
    'an XHTML page by its root',
    bytes('<?xml version="1.0"?><h:html xmlns:h="http://www.w3.org/1999/xhtml"/>'),
    'application/xhtml+xml',
  ],
  ['a comment that does not end in sight', bytes(`<!-- ${'x'.repeat(4095)}`), 'text/html'],
  ['a drawing', bytes(svg), 'image/svg+xml'],
  ['a drawing with a script', bytes(svgWithScript), 'image/svg+xml'],
  [
    'a drawing behind everything that may come first',
    bytes(
      `<?xml version="1.0"?>\n<!-- a -->\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x.dtd" [<!ENTITY a "b">]>\n${svg}`,
    ),
    'image/svg+xml',
  ],
  ['a drawing with a prefix', bytes('<s:svg xmlns:s="http://www.w3.org/2000/svg"/>'), 'image/svg+xml'],
  ['a drawing in UTF-16', wide(svgWithScript), 'image/svg+xml'],
  ['XML', bytes('<?xml version="1.0"?><note/>'), 'application/xml'],
  ['XML without a prologue', bytes('<feed xmlns="http://www.w3.org/2005/Atom"/>'), 'application/xml'],
  [
    'XML whose root is beyond the first bytes',
    bytes(`<?xml version="1.0"?><!-- ${'x'.repeat(5000)}`),
    'application/xml',
  ],
  // Text
  ['text', bytes('Landfall\n'), 'text/plain'],
  ['text that ends in the middle of a letter', Buffer.from('Länder, Ελλάδα, 船').subarray(0, -1), 'text/plain'],
  ['text in UTF-16', wide('Landfall, Ελλάδα'), 'text/plain'],
  ['text in Latin-1', bytes('Gr\xfc\xdfe aus K\xf6ln'), null],
  ['JavaScript', bytes('function a() { return 1 }\n'), 'text/plain'],
  ['a Markdown file with markup', bytes('<div align="center"><h1>Landfall</h1></div>'), 'text/plain'],
  ['a heart', bytes('<3 you'), 'text/plain'],
  ['a card', bytes('BEGIN:VCARD\r\nVERSION:4.0\r\n'), 'text/vcard'],
  ['a calendar', bytes('BEGIN:VCALENDAR\r\n'), 'text/calendar'],
  ['subtitles', bytes('WEBVTT\n\n00:00.000'), 'text/vtt'],
  // Text that starts with a signature
  ['text about a car', bytes('BMW is a car.'), 'text/plain'],
  ['text about pictures', bytes('GIF89a is a header.'), 'text/plain'],
  ['text about what is free', bytes('The free encyclopedia'), 'text/plain'],
  ['text about forms', bytes('FORMER kings and what they wore'), 'text/plain'],
  ['text with initials', bytes('MZ was here, and PK too'), 'text/plain'],
  ['solid text', bytes('solid advice'), 'text/plain'],
  ['text with a G every 188 letters', bytes(`G${'x'.repeat(187)}G${'x'.repeat(187)}G`), 'text/plain'],
  // Other bytes
  ['nothing', Buffer.alloc(0), null],
  ['one zero', bytes('\0'), null],
  ['one byte that is not text', bytes('\xff'), null],
  ['one letter', bytes('P'), 'text/plain'],
  ['zeros', Buffer.alloc(4100), null],
  ['noise', noise(4100), null],
  ['noise that begins like a bitmap', Buffer.concat([bytes('BM'), noise(500)]), null],
  ['noise that begins like sound', Buffer.concat([bytes('\xff\xfb'), noise(500)]), null],
  ['noise that begins like AAC', Buffer.concat([bytes('\xff\xf1'), noise(500)]), null],
  ['noise that begins like a font', Buffer.concat([bytes('\0\x01\0\0\0\xf0'), noise(500)]), null],
  ['noise that begins like AIFF', Buffer.concat([bytes('FORM'), noise(500)]), null],
  ['a zlib stream', real('zlib.z'), null],
  ['the first bytes of a PNG', png.subarray(0, 7), null],
  ['a zip archive that is cut off', bytes('PK\x03\x04\x14\0'), 'application/zip'],
  // Files of two types at once
  ['GIF and JavaScript', bytes('GIF89a/*aaaaaaaaaaaaaaaa*/=1;alert(document.domain)'), 'text/plain'],
  ['GIF and JavaScript, with zeros', bytes('GIF89a/*\0\0\0\0\0*/=1;alert(1)', 60), 'image/gif'],
  ['JPEG and a page', Buffer.concat([jpeg.subarray(0, 200), bytes(html)]), 'image/jpeg'],
  ['PDF and zip', Buffer.concat([bytes('%PDF-1.4\n'), real('zip.zip')]), 'application/pdf'],
  ['zip and PDF', Buffer.concat([real('zip-stored.zip'), bytes('%PDF-1.4\n')]), 'application/zip'],
  ['GIF and PHP', Buffer.concat([gif.subarray(0, 60), bytes('<?php system($_GET["c"]);')]), 'image/gif'],
  ['a program and a zip', Buffer.concat([laid(256, { 0: 'MZ\x90' }), real('zip.zip')]), 'application/x-msdownload'],
  ['a shell script and a tar', Buffer.concat([bytes('#!/bin/sh\nexit\n'), real('ustar.tar')]), 'application/x-sh'],
  ['a page with a zero in it', bytes(`<html>\0${script}`), 'text/html'],
  [
    'PHP and an archive',
    Buffer.concat([bytes('<?php __HALT_COMPILER(); ?>\r\n'), noise(300)]),
    'application/x-httpd-php',
  ],
  ['BMP and JavaScript', bytes('BM/*aaaaaaaaaaaaaaaaaaaa*/=1;alert(1)'), 'text/plain'],
  ['a page disguised as a PNG', Buffer.concat([bytes('\x89PNG\r\n'), bytes(html)]), null],
  ['an SVG disguised as a PDF', bytes(`%PDF-1.4\n${svgWithScript}`), 'application/pdf'],
]

/** Name, bytes, declared type, and the type that results. */
export const declared: [name: string, prefix: Buffer, contentType: string, taken: string][] = [
  // The declared type is an alias of the detected one.
  ['a JPEG by an old name', jpeg, 'image/pjpeg', 'image/pjpeg'],
  ['an animated PNG', png, 'image/apng', 'image/apng'],
  ['sound in an MP4', movie('mp42'), 'audio/mp4', 'audio/mp4'],
  ['a film in an MP4', real('mp4-fast.mp4'), 'video/mp4', 'video/mp4'],
  ['a QuickTime film declared as MP4', real('mov.mov'), 'video/mp4', 'video/mp4'],
  ['an MP3', real('mp3.mp3'), 'audio/mp3', 'audio/mp3'],
  ['a WAV', real('wav.wav'), 'audio/x-wav', 'audio/x-wav'],
  ['a Matroska film', real('mkv.mkv'), 'video/x-matroska', 'video/x-matroska'],
  ['WebM with sound only', real('webm-sound.webm'), 'audio/webm', 'audio/webm'],
  ['a raw picture of a camera', real('tiff.tiff'), 'image/x-adobe-dng', 'image/x-adobe-dng'],
  [
    'a Word document of 2003',
    bytes('\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 512),
    'application/msword',
    'application/msword',
  ],
  [
    'a Word document with a password',
    bytes('\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 512),
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  ],
  [
    'slides whose list of types is beyond the first bytes',
    real('package-late.pptx'),
    'application/vnd.openxmlformats-officedocument.presentationml.presentation',
    'application/vnd.openxmlformats-officedocument.presentationml.presentation',
  ],
  ['a map', real('kmz.kmz'), 'application/vnd.google-earth.kmz', 'application/vnd.google-earth.kmz'],
  ['JSON', bytes('{"a":1}'), 'application/json', 'application/json'],
  ['CSV', real('samples/table.csv'), 'text/csv', 'text/csv'],
  ['text in Latin-1', bytes('Gr\xfc\xdfe aus K\xf6ln'), 'text/plain', 'text/plain'],
  ['JavaScript', bytes('alert(1)'), 'text/javascript', 'text/javascript'],
  ['a Python script', bytes('#!/usr/bin/python3\n'), 'text/x-python', 'text/x-python'],
  ['Markdown with markup', bytes('<div align="center">'), 'text/markdown', 'text/markdown'],
  ['a feed', bytes('<?xml version="1.0"?><rss/>'), 'application/rss+xml', 'application/rss+xml'],
  ['XML as text', bytes('<?xml version="1.0"?><rss/>'), 'text/plain', 'text/plain'],
  ['a page that starts with text', bytes('Hello <b>you</b>'), 'text/html', 'text/html'],
  [
    'an SVG whose root is beyond the first bytes',
    bytes(`<?xml?><!--${'x'.repeat(5000)}`),
    'image/svg+xml',
    'image/svg+xml',
  ],
  // No declared type.
  ['a PNG', png, 'application/octet-stream', 'image/png'],
  ['an MP4', movie('isom'), 'application/octet-stream', 'video/mp4'],
  ['a page', bytes(html), 'application/octet-stream', 'text/html'],
  ['noise', noise(4100), 'application/octet-stream', 'application/octet-stream'],
  ['text', bytes('Landfall'), 'application/octet-stream', 'text/plain'],
  // The declared type is wrong.
  ['a page as a picture', bytes(html), 'image/png', 'text/html'],
  ['a page as a drawing', bytes(html), 'image/svg+xml', 'text/html'],
  ['a page as text', bytes(html), 'text/plain', 'text/html'],
  ['a page as JSON', bytes(html), 'application/json', 'text/html'],
  ['a page in UTF-16 as a picture', wide(html), 'image/jpeg', 'text/html'],
  ['a drawing with a script as a picture', bytes(svgWithScript), 'image/png', 'image/svg+xml'],
  ['a drawing with a script as text', bytes(svgWithScript), 'text/plain', 'image/svg+xml'],
  ['a drawing with a script as XML', bytes(svgWithScript), 'application/xml', 'image/svg+xml'],
  ['a program as a picture', real('samples/program.elf'), 'image/png', 'application/x-elf'],
  ['a program as a PDF', laid(512, { 0: 'MZ\x90' }), 'application/pdf', 'application/x-msdownload'],
  ['a program as text', real('samples/program.elf'), 'text/plain', 'application/x-elf'],
  ['a script as a picture', bytes('#!/bin/sh\n'), 'image/png', 'application/x-sh'],
  ['a script as text', bytes('#!/bin/sh\n'), 'text/plain', 'application/x-sh'],
  ['PHP as text', bytes('<?php echo 1;'), 'text/plain', 'application/x-httpd-php'],
  ['PHP as a picture', bytes('<?php echo 1;'), 'image/gif', 'application/x-httpd-php'],
  [
    'a zip as a Word document',
    real('zip.zip'),
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    'application/zip',
  ],
  [
    'programs in a zip as a table',
    real('zip-of-programs.zip'),
    'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    'application/zip',
  ],
  ['a zip as a book', real('zip.zip'), 'application/epub+zip', 'application/zip'],
  [
    'a jar as a Word document',
    real('jar.jar'),
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    'application/java-archive',
  ],
  [
    'macros as a document without',
    real('docm.docm'),
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    'application/vnd.ms-word.document.macroenabled.12',
  ],
  ['a film as sound', real('mp4-fast.mp4'), 'audio/mp4', 'video/mp4'],
  ['a film by the brand of sound', Buffer.concat([movie('M4A '), real('mp4-fast.mp4')]), 'audio/mp4', 'video/mp4'],
  ['sound as a film', movie('M4A '), 'video/mp4', 'audio/mp4'],
  ['a picture as a film', png, 'video/mp4', 'image/png'],
  ['a JPEG as a PNG', jpeg, 'image/png', 'image/jpeg'],
  ['a PDF as a picture', real('samples/note.pdf'), 'image/jpeg', 'application/pdf'],
  ['a GIF that is JavaScript', bytes('GIF89a/*aaaaaaaaaaaaaaaa*/=1;alert(1)'), 'image/gif', 'text/plain'],
  ['a GIF that is JavaScript, as JavaScript', gif, 'text/javascript', 'image/gif'],
  ['a table for Excel that is CSV', real('samples/table.csv'), 'application/vnd.ms-excel', 'text/plain'],
  ['noise as a picture', noise(4100), 'image/png', 'application/octet-stream'],
  ['noise as text', noise(4100), 'text/plain', 'application/octet-stream'],
  ['noise by an unknown name', noise(4100), 'application/x-landfall', 'application/octet-stream'],
  ['one byte as a picture', bytes('\x89'), 'image/png', 'application/octet-stream'],
  ['the half of a signature', png.subarray(0, 5), 'image/png', 'application/octet-stream'],
]
