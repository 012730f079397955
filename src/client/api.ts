import { createRequest } from './request.ts'

/** What a role may send; sizes are bytes. */
export interface Policy {
  maxSize: number
  mediaTypes: string[]
  categories: string[]
}

export interface Me {
  user: string
  tenant: string | null
  role: string
  /** May see everybody's uploads and steer them. */
  admin: boolean
  /** `null`: the role may send nothing. */
  policy: Policy | null
}

export type UploadState = 'receiving' | 'finishing' | 'completed' | 'cancelled' | 'expired' | 'failed'

/** An upload as the server tells it. Times are ISO 8601. */
export interface ListedUpload {
  id: string
  url: string
  filename: string
  contentType: string
  category: string
  size: number | null
  offset: number
  state: UploadState
  /** A request is writing to it right now, from whatever device. */
  live: boolean
  /** Where the file was in a folder that was sent. */
  relativePath: string | null
  /** The same for files that were sent together. */
  batch: string | null
  failure: string | null
  createdAt: string
  updatedAt: string
  completedAt: string | null
  expiresAt: string | null
}

export interface UploadsPage {
  uploads: ListedUpload[]
  /** The `before` of the next page; `null` on the last one. */
  next: string | null
}

/** Which uploads of the user's are asked for. */
export interface UploadFilter {
  state?: UploadState | undefined
  fingerprint?: string | undefined
}

/** What a sign-in link is traded for. */
export interface SignedIn {
  token: string
  user: string
  role: string
  expiresAt: string
}

/** The server's JSON API. Everything throws `Refusal` when it does not work. */
export interface Api {
  me(): Promise<Me>
  uploads(before?: string, only?: UploadFilter): Promise<UploadsPage>
  upload(id: string): Promise<ListedUpload>
  /** Says what the client knows the file of an upload by. */
  setFingerprint(id: string, fingerprint: string): Promise<void>
  remove(id: string): Promise<void>
  /** Trades the one-time code of a sign-in link for a token; only servers in development have it. */
  signIn(code: string): Promise<SignedIn>
}

/**
 * Speaks to the API at `base` (an absolute URL).
 * @param token asked for each request, so a new one counts at once
 */
export function createApi(base: string, token: () => string | null): Api {
  const ask = createRequest(base, token)

  return {
    me: async () => (await ask('GET', 'v1/me')) as Me,
    uploads: async (before, { state, fingerprint } = {}) => {
      const query = new URLSearchParams({ limit: '100', ...(before && { before }), ...(state && { state }) })
      if (fingerprint !== undefined) query.set('fingerprint', fingerprint)
      return (await ask('GET', `v1/uploads?${query}`)) as UploadsPage
    },
    upload: async (id) => (await ask('GET', `v1/uploads/${encodeURIComponent(id)}`)) as ListedUpload,
    setFingerprint: async (id, fingerprint) =>
      void (await ask('PUT', `v1/uploads/${encodeURIComponent(id)}/fingerprint`, { content: { fingerprint } })),
    remove: async (id) => void (await ask('DELETE', `v1/uploads/${encodeURIComponent(id)}`)),
    signIn: async (code) => (await ask('POST', 'v1/dev/sign-in', { bearer: null, content: { code } })) as SignedIn,
  }
}
