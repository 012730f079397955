import { createHash } from 'node:crypto'
import type { ObjectStore } from './ports/object-store.ts'
import { type DigestAlgorithm, digestAlgorithms, type FileDigests } from './upload.ts'

/** Sees the bytes of a file in order, and knows at their end what `digests` asks for. */
export interface FileHash {
  update(chunk: Buffer): void
  digests(): FileDigests
}

/** A hash of everything that `digests` expects or wants. */
export function hashFile(digests: FileDigests): FileHash {
  const hashes = algorithmsOf(digests).map((algorithm) => ({
    algorithm,
    hash: createHash(digestAlgorithms[algorithm]),
  }))
  return {
    update(chunk) {
      for (const { hash } of hashes) hash.update(chunk)
    },
    digests() {
      const actual = hashes.map(({ algorithm, hash }) => [algorithm, hash.digest('base64')])
      return { ...digests, actual: Object.fromEntries(actual) }
    },
  }
}

/** `digests` with what is missing of them read from the object at `key`, which must be whole. */
export async function readDigests(digests: FileDigests, store: ObjectStore, key: string): Promise<FileDigests> {
  if (algorithmsOf(digests).every((algorithm) => digests.actual[algorithm] !== undefined)) return digests
  const hash = hashFile(digests)
  for await (const chunk of store.read(key)) hash.update(chunk)
  return hash.digests()
}

/** Whether the file is what it was said to be. */
export function matchesExpected({ expected, actual }: FileDigests): boolean {
  return Object.entries(expected).every(([algorithm, value]) => actual[algorithm as DigestAlgorithm] === value)
}

function algorithmsOf({ expected, wanted }: FileDigests): DigestAlgorithm[] {
  return (Object.keys(digestAlgorithms) as DigestAlgorithm[]).filter(
    (algorithm) => expected[algorithm] !== undefined || wanted.includes(algorithm),
  )
}
