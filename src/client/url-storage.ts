/*
 * Where tus-js-client, and Uppy with it, keep which upload a file belongs to: here on the server, so that what was begun on one
 * device goes on on another. The server knows it by the file's fingerprint, which is the client's business; one that is the same
 * on both devices is made of what is the same on both.
 */
import type { PreviousUpload, UrlStorage } from 'tus-js-client'
import { createApi, type ListedUpload } from './api.ts'
import { RequestError } from './request-error.ts'

export interface UrlStorageOptions {
  /** An absolute URL of the server. */
  server: string
  /** The user's token; asked for each request. */
  token: () => string | null
}

const pauses = [500, 2000]

/**
 * A `urlStorage` over the server's list of uploads. It never fails: an upload that is not found starts anew, and one that could
 * not be written down goes on all the same. Uploads in parallel pieces (`parallelUploads`) are not kept.
 */
export function serverUrlStorage({ server, token }: UrlStorageOptions): UrlStorage {
  const api = createApi(server, token)

  async function find(fingerprint?: string): Promise<PreviousUpload[]> {
    const found: PreviousUpload[] = []
    let before: string | undefined
    do {
      const page = await withRetry(() => api.uploads(before, { state: 'receiving', fingerprint }))
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
      if (id !== '') await withRetry(() => api.setFingerprint(id, fingerprint))
      return id
    },
    // What is over is not in the list of what can be gone on with. tus-js-client also asks for this after a 401 or when it was
    // offline, and must not take away what is still there.
    async removeUpload() {},
  }
}

function asPrevious(upload: ListedUpload, server: string): PreviousUpload {
  return {
    size: upload.size,
    metadata: { filename: upload.filename, filetype: upload.contentType },
    creationTime: upload.createdAt,
    urlStorageKey: upload.id,
    uploadUrl: new URL(upload.url, server).href,
    parallelUploadUrls: null,
  }
}

/** Asks again when that may help; `null` when it did not. */
async function withRetry<T>(ask: () => Promise<T>): Promise<T | null> {
  for (const pause of [...pauses, null]) {
    try {
      return await ask()
    } catch (thrown) {
      const { status } = thrown instanceof RequestError ? thrown.failure : { status: 0 }
      const mayHelp = status === null || status >= 500 || status === 429
      if (pause === null || !mayHelp) return null
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }
  return null
}
