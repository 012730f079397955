/*
 * A `urlStorage` for tus-js-client and Uppy that looks uploads up on the server, so that an upload that was started on one device can
 * resume on another. The server finds an upload by the fingerprint of its file. The client computes the fingerprint; to be equal on two
 * devices it must be built from facts that are equal on both.
 */
import type { PreviousUpload, UrlStorage } from 'tus-js-client'
import type { OwnUpload } from '../contract/upload.ts'
import { createApi } from './api.ts'
import { RequestError } from './request-error.ts'

export interface UrlStorageOptions {
  /** An absolute URL of the server. */
  server: string
  /** The user's token; called for each request. */
  token: () => string | null
  /** The milliseconds before each retry of a request that failed for a time. Default: 500, then 2000. */
  pauses?: number[]
}

/**
 * A `urlStorage` over the server's list of uploads. It never throws: if the lookup fails, the upload starts at zero; if the fingerprint
 * cannot be stored, the upload continues. Parallel uploads (`parallelUploads`) are not stored.
 */
export function serverUrlStorage({ server, token, pauses = [500, 2000] }: UrlStorageOptions): UrlStorage {
  const api = createApi(server, token)

  async function find(fingerprint?: string): Promise<PreviousUpload[]> {
    const found: PreviousUpload[] = []
    let before: string | undefined
    do {
      const page = await withRetry(pauses, () => api.uploads(before, { state: 'receiving', fingerprint }))
      if (page === null) break
      found.push(...page.uploads.map((upload) => asPrevious(upload, server)))
      before = page.next ?? undefined
    } while (before !== undefined)
    return found
  }

  return {
    findAllUploads: () => find(),
    findUploadsByFingerprint: (fingerprint) => find(fingerprint),
    async addUpload(fingerprint, { uploadUrl }) {
      const id = uploadUrl?.split('?')[0]?.split('/').at(-1) ?? ''
      if (id !== '') await withRetry(pauses, () => api.setFingerprint(id, fingerprint))
      return id
    },
    // Nothing to do: the list contains only uploads that can be resumed. tus-js-client also calls this after a 401 or when it was
    // offline, and that must not remove an upload that still exists.
    async removeUpload() {},
  }
}

function asPrevious(upload: OwnUpload, server: string): PreviousUpload {
  return {
    size: upload.size,
    metadata: { filename: upload.filename, filetype: upload.contentType },
    creationTime: upload.createdAt,
    urlStorageKey: upload.id,
    uploadUrl: new URL(upload.url, server).href,
    parallelUploadUrls: null,
  }
}

/** Retries temporary errors; `null` when the request fails in the end. */
async function withRetry<T>(pauses: number[], request: () => Promise<T>): Promise<T | null> {
  for (const pause of [...pauses, null]) {
    try {
      return await request()
    } catch (thrown) {
      const { status } = thrown instanceof RequestError ? thrown.failure : { status: 0 }
      const isTemporary = status === null || status >= 500 || status === 429
      if (pause === null || !isTemporary) return null
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }
  return null
}
