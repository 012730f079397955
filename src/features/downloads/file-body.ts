import { Readable } from 'node:stream'
import { errors } from '../../core/errors/errors.ts'
import { NoSuchKey, type ObjectStore } from '../../core/ports/object-store.ts'
import type { ByteRange } from '../../http/representation/range.ts'

/**
 * Opens the bytes of an object in `range`, which is not empty, and waits for the first of them: until then an error can be answered.
 * @param onClosed called when the store is no longer read, however that came about, also when this throws
 * @throws UploadError STORE_UNAVAILABLE, also when the object is not there: that is an observation, and may be wrong
 */
export async function openFileBody(
  store: Pick<ObjectStore, 'read'>,
  key: string,
  range: ByteRange,
  onClosed: () => void,
): Promise<Readable> {
  const chunks = store.read(key, range)[Symbol.asyncIterator]()
  try {
    const first = await chunks.next()
    if (!first.done) return new FileBody(chunks, first.value, range.end - range.start, onClosed)
  } catch (error) {
    onClosed()
    throw error instanceof NoSuchKey ? errors.notFoundInStore({}, error) : error
  }
  onClosed()
  throw errors.notFoundInStore()
}

/**
 * The bytes of an object on their way to a client: exactly as many as its answer announces. An object that ends early is an error, which
 * destroys the connection; a client never takes a part of a file for the whole. The store is read no faster than the client reads, and no
 * more once it has gone.
 */
class FileBody extends Readable {
  readonly #chunks: AsyncIterator<Buffer>
  readonly #onClosed: () => void
  #next: Buffer | null
  #left: number

  constructor(chunks: AsyncIterator<Buffer>, first: Buffer, size: number, onClosed: () => void) {
    super()
    this.#chunks = chunks
    this.#next = first
    this.#left = size
    this.#onClosed = onClosed
  }

  override _read(): void {
    const known = this.#next
    this.#next = null
    if (known) this.#take(known)
    else
      this.#chunks.next().then(
        ({ done, value }) => this.#take(done ? null : value),
        (error: Error) => this.destroy(error),
      )
  }

  #take(chunk: Buffer | null): void {
    if (chunk === null) {
      this.destroy(new Error(`the object ended ${this.#left} bytes too early`))
      return
    }
    const taken = chunk.length > this.#left ? chunk.subarray(0, this.#left) : chunk
    this.#left -= taken.length
    if (taken.length > 0) this.push(taken)
    if (this.#left === 0) this.push(null)
    // A stream asks for more only after a push.
    else if (taken.length === 0) this._read()
  }

  /** The store may be slow to notice: nothing waits for it but the place of this download. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const ended = this.#chunks.return?.() ?? Promise.resolve()
    ended.then(this.#onClosed, this.#onClosed)
    done(error)
  }
}
