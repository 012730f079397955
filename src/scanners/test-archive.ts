/*
 * A harmless file that shows how far a scanner reads: a zip of one size whose last member is the EICAR test file. Signatures find EICAR at
 * the beginning of a file only, so it is a member of its own; members are stored, not compressed, so that the scanner has to read them.
 */
import { crc32 } from 'node:zlib'

// In two halves, so that no scanner finds it in this program.
const eicar = Buffer.from('X5O!P%@AP[4\\PZX54(P^)7CC)7}'.concat('$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'))
const chunk = Buffer.alloc(64 * 1024)
const localHeaderBytes = 30
const entryBytes = 46
const endBytes = 22

interface Member {
  name: string
  size: number
  crc: number
}

/** The fewest bytes that such an archive has. */
export const smallestArchive = archiveSize(0)

/** The archive of `size` bytes, at least `smallestArchive`. */
export function* testArchive(size: number): Generator<Buffer> {
  const padding = size - smallestArchive
  const first = { name: 'padding', size: padding, crc: crcOfZeros(padding) }
  const second = { name: 'eicar.com', size: eicar.length, crc: crc32(eicar) }
  yield localHeader(first)
  for (let left = padding; left > 0; left -= chunk.length) yield chunk.subarray(0, Math.min(left, chunk.length))
  yield localHeader(second)
  yield eicar
  const secondAt = localHeaderBytes + first.name.length + padding
  const directory = Buffer.concat([entry(first, 0), entry(second, secondAt)])
  yield directory
  yield end(directory.length, size - endBytes - directory.length)
}

function archiveSize(padding: number): number {
  const names = 2 * ('padding'.length + 'eicar.com'.length)
  return 2 * (localHeaderBytes + entryBytes) + names + eicar.length + endBytes + padding
}

function crcOfZeros(size: number): number {
  let crc = 0
  for (let left = size; left > 0; left -= chunk.length)
    crc = crc32(chunk.subarray(0, Math.min(left, chunk.length)), crc)
  return crc
}

function localHeader(member: Member): Buffer {
  const header = Buffer.alloc(localHeaderBytes)
  header.writeUInt32LE(0x04034b50, 0)
  describe(header.subarray(4), member)
  return Buffer.concat([header, Buffer.from(member.name)])
}

function entry(member: Member, at: number): Buffer {
  const header = Buffer.alloc(entryBytes)
  header.writeUInt32LE(0x02014b50, 0)
  header.writeUInt16LE(20, 4)
  describe(header.subarray(6), member)
  header.writeUInt32LE(at, 42)
  return Buffer.concat([header, Buffer.from(member.name)])
}

/** The fields that both headers have: version needed, flags, method and time, then CRC and sizes. */
function describe(fields: Buffer, { name, size, crc }: Member): void {
  fields.writeUInt16LE(20, 0)
  fields.writeUInt16LE(0x21, 8)
  fields.writeUInt32LE(crc, 10)
  fields.writeUInt32LE(size, 14)
  fields.writeUInt32LE(size, 18)
  fields.writeUInt16LE(name.length, 22)
}

function end(size: number, at: number): Buffer {
  const record = Buffer.alloc(endBytes)
  record.writeUInt32LE(0x06054b50, 0)
  record.writeUInt16LE(2, 8)
  record.writeUInt16LE(2, 10)
  record.writeUInt32LE(size, 12)
  record.writeUInt32LE(at, 16)
  return record
}
