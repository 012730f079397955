import { writeFileSync } from 'node:fs'
import { crc32, deflateRawSync, gzipSync } from 'node:zlib'

// The samples that need no encoder. `node test/samples/documents.ts` writes them; a test compares them with what is here.

const poem = `Landfall

A file set out from a browser one day,
a wave and a tunnel stood in its way.
It lost the wire, it kept its place,
and came ashore without a trace
of where the sea had made it wait.
Äpfel, ñandú, Ελλάδα, 船, 🚢: it came out straight.
`

/** Name and bytes of every sample made here; the same bytes each time. */
export function documents(): Record<string, Buffer> {
  const table = 'name,bytes,arrived\r\n"harbour, north",1024,true\r\nlighthouse,2048,false\r\n'
  const page = `<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Landfall</title><pre>${poem}</pre></html>\n`
  const drawing =
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><title>Ship</title><path d="M2 18q5-4 10 0t10 0M12 3v11l6-3z" fill="none" stroke="navy"/></svg>\n'
  return {
    'poem.txt': Buffer.from(poem),
    'table.csv': Buffer.from(table),
    'record.json': Buffer.from('{ "name": "Landfall", "offsets": [0, 1024, 4096] }\n'),
    'page.html': Buffer.from(page),
    'drawing.svg': Buffer.from(drawing),
    'note.pdf': pdf(['Landfall', 'One page, one font, no scripts.']),
    'letter.docx': docx(poem.trimEnd().split('\n')),
    'sheet.xlsx': xlsx([
      ['name', 'bytes'],
      ['harbour', 1024],
      ['lighthouse', 2048],
    ]),
    'archive.zip': zip([
      ['poem.txt', poem],
      ['data/table.csv', table],
    ]),
    'poem.txt.gz': gzipSync(poem, { level: 0 }),
    // Says nothing and does nothing, but it is a program: what a check of first bytes must not let through as a picture.
    'program.elf': elf(),
    'empty.bin': Buffer.alloc(0),
  }
}

function pdf(lines: string[]): Buffer {
  const text = lines.map((line, index) => `BT /F1 18 Tf 72 ${720 - index * 28} Td (${line}) Tj ET`).join('\n')
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>',
    `<< /Length ${text.length} >>\nstream\n${text}\nendstream`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
  ]
  // The comment of high bytes tells transfer programs that this is not text.
  let file = '%PDF-1.4\n%\xe2\xe3\xcf\xd3\n'
  const places = objects.map((object, index) => {
    const place = file.length
    file += `${index + 1} 0 obj\n${object}\nendobj\n`
    return `${String(place).padStart(10, '0')} 00000 n \n`
  })
  const size = objects.length + 1
  const table = `xref\n0 ${size}\n0000000000 65535 f \n${places.join('')}`
  file += `${table}trailer\n<< /Size ${size} /Root 1 0 R >>\nstartxref\n${file.length}\n%%EOF\n`
  return Buffer.from(file, 'latin1')
}

const xmlHead = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
const office = 'http://schemas.openxmlformats.org'
const contentTypes = (part: string, type: string): string =>
  `${xmlHead}<Types xmlns="${office}/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>${override(part, type)}</Types>`
const override = (part: string, type: string): string =>
  `<Override PartName="/${part}" ContentType="application/vnd.openxmlformats-officedocument.${type}+xml"/>`
const relations = (...targets: [kind: string, target: string][]): string =>
  `${xmlHead}<Relationships xmlns="${office}/package/2006/relationships">${targets.map(([kind, target], index) => `<Relationship Id="r${index + 1}" Type="${office}/officeDocument/2006/relationships/${kind}" Target="${target}"/>`).join('')}</Relationships>`

function docx(lines: string[]): Buffer {
  const paragraphs = lines.map((line) => `<w:p><w:r><w:t xml:space="preserve">${line}</w:t></w:r></w:p>`).join('')
  return zip([
    ['[Content_Types].xml', contentTypes('word/document.xml', 'wordprocessingml.document.main')],
    ['_rels/.rels', relations(['officeDocument', 'word/document.xml'])],
    [
      'word/document.xml',
      `${xmlHead}<w:document xmlns:w="${office}/wordprocessingml/2006/main"><w:body>${paragraphs}</w:body></w:document>`,
    ],
  ])
}

function xlsx(rows: (string | number)[][]): Buffer {
  const cell = (value: string | number): string =>
    typeof value === 'number' ? `<c><v>${value}</v></c>` : `<c t="inlineStr"><is><t>${value}</t></is></c>`
  const data = rows.map((row) => `<row>${row.map(cell).join('')}</row>`).join('')
  const main = `${office}/spreadsheetml/2006/main`
  const types = contentTypes('xl/workbook.xml', 'spreadsheetml.sheet.main')
  return zip([
    [
      '[Content_Types].xml',
      types.replace('</Types>', `${override('xl/worksheets/sheet1.xml', 'spreadsheetml.worksheet')}</Types>`),
    ],
    ['_rels/.rels', relations(['officeDocument', 'xl/workbook.xml'])],
    [
      'xl/workbook.xml',
      `${xmlHead}<workbook xmlns="${main}" xmlns:r="${office}/officeDocument/2006/relationships"><sheets><sheet name="Ships" sheetId="1" r:id="r1"/></sheets></workbook>`,
    ],
    ['xl/_rels/workbook.xml.rels', relations(['worksheet', 'worksheets/sheet1.xml'])],
    ['xl/worksheets/sheet1.xml', `${xmlHead}<worksheet xmlns="${main}"><sheetData>${data}</sheetData></worksheet>`],
  ])
}

/**
 * A zip archive, every entry dated 1 January 1980, the first day zip knows. Level 0, here as in the gzip file, because what
 * the others make depends on the machine.
 */
function zip(entries: [name: string, text: string][]): Buffer {
  const local: Buffer[] = []
  const central: Buffer[] = []
  let place = 0
  for (const [name, text] of entries) {
    const path = Buffer.from(name)
    const plain = Buffer.from(text)
    const packed = deflateRawSync(plain, { level: 0 })
    // Version, flags (UTF-8 names), method, time, date, checksum, two sizes, length of the name, of extras.
    const facts = Buffer.alloc(26)
    facts.writeUInt16LE(20, 0)
    facts.writeUInt16LE(0x0800, 2)
    facts.writeUInt16LE(8, 4)
    facts.writeUInt16LE(0x21, 8)
    facts.writeUInt32LE(crc32(plain), 10)
    facts.writeUInt32LE(packed.length, 14)
    facts.writeUInt32LE(plain.length, 18)
    facts.writeUInt16LE(path.length, 22)
    const where = Buffer.alloc(14)
    where.writeUInt32LE(place, 10)
    const entry = [Buffer.from('PK\x03\x04'), facts, path, packed]
    local.push(...entry)
    central.push(Buffer.from('PK\x01\x02\x14\x00'), facts, where, path)
    place += entry.reduce((total, chunk) => total + chunk.length, 0)
  }
  const directory = Buffer.concat(central)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06')
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(place, 16)
  return Buffer.concat([...local, directory, end])
}

/** The smallest 64-bit Linux program that the loader takes: one segment, `exit(0)`. */
function elf(): Buffer {
  const code = Buffer.from('31ffb83c0000000f05', 'hex')
  const file = Buffer.alloc(120)
  Buffer.from('7f454c46020101', 'hex').copy(file)
  file.writeUInt16LE(2, 16)
  file.writeUInt16LE(0x3e, 18)
  file.writeUInt32LE(1, 20)
  file.writeBigUInt64LE(0x400078n, 24)
  file.writeBigUInt64LE(64n, 32)
  for (const [index, value] of [64, 56, 1].entries()) file.writeUInt16LE(value, 52 + index * 2)
  file.writeUInt32LE(1, 64)
  file.writeUInt32LE(5, 68)
  for (const at of [80, 88]) file.writeBigUInt64LE(0x400000n, at)
  for (const at of [96, 104]) file.writeBigUInt64LE(BigInt(file.length + code.length), at)
  file.writeBigUInt64LE(0x1000n, 112)
  return Buffer.concat([file, code])
}

if (import.meta.main) {
  for (const [name, bytes] of Object.entries(documents())) writeFileSync(new URL(name, import.meta.url), bytes)
}
