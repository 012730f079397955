import { describe, expect, it } from 'vitest'
import { fileLocks, type Locks } from '../../src/client/file-locks.ts'

// Node's own Web Locks, which all in this process share as the tabs of a browser do.
const locks = navigator.locks as unknown as Locks

describe('a claim on a file', () => {
  it('is one tab’s at a time, and the next one’s when it is given back', async () => {
    const [here, there] = [fileLocks(locks), fileLocks(locks)]
    const release = await here.tryAcquire('film')

    expect(await there.tryAcquire('film')).toBeNull()
    const waiting = there.acquire('film', new AbortController().signal)
    release!()

    const theirs = await waiting
    expect(await here.tryAcquire('film')).toBeNull()
    theirs()
  })

  it('can be taken again at once by the tab that gave it back', async () => {
    const here = fileLocks(locks)

    for (let count = 0; count < 5; count++) (await here.tryAcquire('song'))!()

    const last = await here.tryAcquire('song')
    expect(last).not.toBeNull()
    last!()
  })

  it('is told to other tabs while it is held', async () => {
    const [here, there] = [fileLocks(locks), fileLocks(locks)]
    const release = await here.tryAcquire('scan')

    expect(await there.heldByOthers()).toEqual(['scan'])
    expect(await here.heldByOthers()).toEqual([])
    release!()
  })

  it('is no longer waited for when the file is cancelled', async () => {
    const [here, there] = [fileLocks(locks), fileLocks(locks)]
    const release = await here.tryAcquire('note')
    const leave = new AbortController()
    const waiting = there.acquire('note', leave.signal)

    leave.abort()

    await expect(waiting).rejects.toThrow()
    release!()
  })

  it('is granted where a page has no locks', async () => {
    expect(await fileLocks(undefined).tryAcquire('film')).not.toBeNull()
  })
})
