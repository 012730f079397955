import { describe, expect, it } from 'vitest'
import { claimsOn, type Locks } from '../../src/client/claims.ts'

// Node's own Web Locks, which all in this process share as the tabs of a browser do.
const locks = navigator.locks as unknown as Locks

describe('a claim on a file', () => {
  it('is one tab’s at a time, and the next one’s when it is given back', async () => {
    const [here, there] = [claimsOn(locks), claimsOn(locks)]
    const release = await here.take('film')

    expect(await there.take('film')).toBeNull()
    const waiting = there.wait('film', new AbortController().signal)
    release!()

    const theirs = await waiting
    expect(await here.take('film')).toBeNull()
    theirs()
  })

  it('can be taken again at once by the tab that gave it back', async () => {
    const here = claimsOn(locks)

    for (let count = 0; count < 5; count++) (await here.take('song'))!()

    const last = await here.take('song')
    expect(last).not.toBeNull()
    last!()
  })

  it('is told to other tabs while it is held', async () => {
    const [here, there] = [claimsOn(locks), claimsOn(locks)]
    const release = await here.take('scan')

    expect(await there.heldByOthers()).toEqual(['scan'])
    expect(await here.heldByOthers()).toEqual([])
    release!()
  })

  it('is no longer waited for when the file is cancelled', async () => {
    const [here, there] = [claimsOn(locks), claimsOn(locks)]
    const release = await here.take('note')
    const leave = new AbortController()
    const waiting = there.wait('note', leave.signal)

    leave.abort()

    await expect(waiting).rejects.toThrow()
    release!()
  })

  it('is granted where a page has no locks', async () => {
    expect(await claimsOn(undefined).take('film')).not.toBeNull()
  })
})
