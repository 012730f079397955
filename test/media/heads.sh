#!/usr/bin/env bash
# Writes test/media/heads: the first 4,100 bytes of a file of every kind that the tools of this machine can create, from
# ffmpeg's own test picture, a tone, and the files of test/samples. Files whose tool is missing are left unchanged.
#
# Needs: ffmpeg, python3, sqlite3, zstd, lz4, dpkg-deb, jar
set -uo pipefail
cd "$(dirname "$0")/heads"
samples=$(cd ../../samples && pwd)
whole=$(mktemp -d)
trap 'rm -rf "$whole"' EXIT

keep() { [ -s "$whole/$1" ] && head -c 4100 "$whole/$1" >"$1" || echo "not made: $1" >&2; }
quiet=(-hide_banner -loglevel error -y -bitexact)
picture() { ffmpeg "${quiet[@]}" -f lavfi -i testsrc=size=64x48:rate=1:duration=1 -frames:v 1 -map_metadata -1 "${@:2}" "$whole/$1" </dev/null && keep "$1"; }
tone() { ffmpeg "${quiet[@]}" -f lavfi -i sine=frequency=440:sample_rate=44100:duration=1 -map_metadata -1 "${@:2}" "$whole/$1" </dev/null && keep "$1"; }
film() { ffmpeg "${quiet[@]}" -f lavfi -i testsrc=size=176x144:rate=25:duration=1 -f lavfi -i sine=frequency=440:sample_rate=44100:duration=1 -map_metadata -1 "${@:2}" "$whole/$1" </dev/null && keep "$1"; }

picture bmp.bmp
picture tiff.tiff
picture gif.gif
picture png.png
picture apng.apng -f apng
picture jpeg.jpg
picture jpegls.jls -c:v jpegls
picture webp.webp
picture jp2.jp2 -c:v libopenjpeg
picture jxl.jxl
picture avif.avif -c:v libaom-av1 -still-picture 1
picture exr.exr
picture qoi.qoi
picture pbm.pbm -pix_fmt monob
picture pgm.pgm
picture ppm.ppm
picture xbm.xbm -pix_fmt monow

tone aac.aac
tone ac3.ac3
tone aiff.aiff
tone au.au
tone caf.caf
tone flac.flac
tone m4a.m4a
tone mp2.mp2
tone mp3.mp3
tone mp3-bare.mp3 -id3v2_version 0 -write_xing 0
tone oga.oga -c:a flac
tone opus.opus
tone speex.spx
tone vorbis.ogg -c:a libvorbis
tone wav.wav
tone wma.wma
tone wavpack.wv
tone matroska.mka
tone webm-sound.webm -c:a libopus

film avi.avi
film flv.flv -ar 44100
film mkv.mkv
film mov.mov
film mp4.mp4
film mp4-fast.mp4 -movflags +faststart
film mp4-pieces.mp4 -movflags frag_keyframe+empty_moov
film m4v.m4v
film 3gp.3gp -ac 1 -c:v h263 -c:a aac
film mpeg-ps.mpg
film mpeg-vob.vob -f vob
film mpeg-ts.m2t -f mpegts
film m2ts.m2ts
film theora.ogv
film webm.webm -c:v libvpx
film wmv.wmv
film gif-film.gif -an

python3 - "$samples" "$whole" <<'PY'
import bz2, gzip, io, lzma, plistlib, sys, tarfile, zipfile, zlib
samples, out = sys.argv[1:]
poem = open(f'{samples}/poem.txt', 'rb').read()
def write(name, data): open(f'{out}/{name}', 'wb').write(data)
def archive(name, entries, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(f'{out}/{name}', 'w', method) as z:
        for path, data, *how in entries:
            info = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)); info.compress_type = how[0] if how else method
            z.writestr(info, data)
stored = zipfile.ZIP_STORED
for name, fmt in (('ustar.tar', tarfile.USTAR_FORMAT), ('gnu.tar', tarfile.GNU_FORMAT), ('pax.tar', tarfile.PAX_FORMAT)):
    with tarfile.open(f'{out}/{name}', 'w', format=fmt) as t:
        info = tarfile.TarInfo('poem.txt'); info.size = len(poem)
        t.addfile(info, io.BytesIO(poem))
write('gzip.gz', gzip.compress(poem, mtime=0)); write('tar.tgz', gzip.compress(open(f'{out}/ustar.tar', 'rb').read(), mtime=0))
write('bzip2.bz2', bz2.compress(poem)); write('xz.xz', lzma.compress(poem)); write('zlib.z', zlib.compress(poem, 1))
write('plist.plist', plistlib.dumps({'a': [1, 2]}, fmt=plistlib.FMT_BINARY))
types = lambda part, kind: f'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/{part}" ContentType="{kind}+xml"/></Types>'
office = 'application/vnd.openxmlformats-officedocument'
for name, part, kind in (
    ('docx.docx', 'word/document.xml', f'{office}.wordprocessingml.document.main'), ('xlsx.xlsx', 'xl/workbook.xml', f'{office}.spreadsheetml.sheet.main'),
    ('pptx.pptx', 'ppt/presentation.xml', f'{office}.presentationml.presentation.main'), ('dotx.dotx', 'word/document.xml', f'{office}.wordprocessingml.template.main'),
    ('docm.docm', 'word/document.xml', 'application/vnd.ms-word.document.macroEnabled.main'), ('xlsm.xlsm', 'xl/workbook.xml', 'application/vnd.ms-excel.sheet.macroEnabled.main')):
    archive(name, [('[Content_Types].xml', types(part, kind)), ('_rels/.rels', '<x/>'), (part, '<x/>')])
# Some programs do not write the list of types first.
noise = bytes((i * 7919 + i * i) % 251 for i in range(6000))
archive('docx-late.docx', [('_rels/.rels', '<x/>'), ('word/media/picture.bin', noise, stored), ('[Content_Types].xml', types('word/document.xml', f'{office}.wordprocessingml.document.main'))])
archive('package-late.pptx', [('_rels/.rels', noise, stored), ('ppt/presentation.xml', '<x/>')])
for name, kind in (('odt.odt', 'application/vnd.oasis.opendocument.text'), ('ods.ods', 'application/vnd.oasis.opendocument.spreadsheet'), ('odp.odp', 'application/vnd.oasis.opendocument.presentation'),
                   ('odg.odg', 'application/vnd.oasis.opendocument.graphics'), ('odf.odf', 'application/vnd.oasis.opendocument.formula'), ('epub.epub', 'application/epub+zip')):
    archive(name, [('mimetype', kind, stored), ('META-INF/manifest.xml', '<x/>')])
archive('zip.zip', [('poem.txt', poem)]); archive('zip-stored.zip', [('poem.txt', poem)], stored); archive('zip-empty.zip', [])
archive('zip-of-programs.zip', [('setup.exe', b'MZ' + bytes(200))]); archive('zip-large.zip', [('noise.bin', noise, stored), ('poem.txt', poem)])
archive('apk.apk', [('AndroidManifest.xml', b'\x03\0\x08\0' + bytes(64)), ('classes.dex', b'dex\n035\0' + bytes(64))])
archive('keynote.key', [('Index/Document.iwa', bytes(40)), ('Index/MasterSlide-1.iwa', bytes(40))]); archive('kmz.kmz', [('doc.kml', '<kml/>')])
archive('jar.jar', [('META-INF/', ''), ('META-INF/MANIFEST.MF', 'Manifest-Version: 1.0\r\n\r\n'), ('A.class', b'\xca\xfe\xba\xbe\0\0\0\x34')])
with zipfile.ZipFile(f'{out}/zip-streamed.zip', 'w') as z:
    class Pipe:
        def __init__(s): s.b = bytearray()
        def write(s, d): s.b += d; return len(d)
        def flush(s): pass
    p = Pipe()
    with zipfile.ZipFile(p, 'w', zipfile.ZIP_DEFLATED) as y: y.writestr(zipfile.ZipInfo('poem.txt', (1980, 1, 1, 0, 0, 0)), poem)
    write('zip-streamed.zip', bytes(p.b))
PY
for name in ustar.tar gnu.tar pax.tar gzip.gz tar.tgz bzip2.bz2 xz.xz zlib.z plist.plist docx.docx xlsx.xlsx pptx.pptx dotx.dotx docm.docm xlsm.xlsm \
  docx-late.docx package-late.pptx odt.odt ods.ods odp.odp odg.odg odf.odf epub.epub zip.zip zip-stored.zip zip-empty.zip zip-of-programs.zip zip-large.zip zip-streamed.zip \
  apk.apk keynote.key kmz.kmz jar.jar; do keep "$name"; done
sqlite3 "$whole/sqlite.db" 'create table t (a)' && keep sqlite.db
zstd -q -o "$whole/zstd.zst" "$samples/poem.txt" && keep zstd.zst
lz4 -q "$samples/poem.txt" "$whole/lz4.lz4" && keep lz4.lz4
mkdir -p "$whole/deb/DEBIAN" && printf 'Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n' >"$whole/deb/DEBIAN/control" &&
  SOURCE_DATE_EPOCH=0 dpkg-deb --root-owner-group -b "$whole/deb" "$whole/deb.deb" >/dev/null && keep deb.deb
