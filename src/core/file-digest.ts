import { createHash } from 'node:crypto'
import type { ObjectStore } from './ports/object-store.ts'
import { type DigestAlgorithm, digestAlgorithms, type FileDigests } from './upload.ts'

/** Takes the bytes of a file in order and computes its digests. */
export interface FileHash {
  update(chunk: Buffer): void
  digests(): FileDigests
}

/** Computes every digest that `digests` expects or wants. */
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

/** `digests` with the actual values; if one is missing, all are computed from the complete object at `key`. */
export async function readDigests(digests: FileDigests, store: ObjectStore, key: string): Promise<FileDigests> {
  if (algorithmsOf(digests).every((algorithm) => digests.actual[algorithm] !== undefined)) return digests
  const hash = hashFile(digests)
  for await (const chunk of store.read(key)) hash.update(chunk)
  return hash.digests()
}

/** Whether the file has all expected digests. */
export function matchesExpected({ expected, actual }: FileDigests): boolean {
  return Object.entries(expected).every(([algorithm, value]) => actual[algorithm as DigestAlgorithm] === value)
}

function algorithmsOf({ expected, wanted }: FileDigests): DigestAlgorithm[] {
  return (Object.keys(digestAlgorithms) as DigestAlgorithm[]).filter(
    (algorithm) => expected[algorithm] !== undefined || wanted.includes(algorithm),
  )
}
