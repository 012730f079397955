/*
 * Which connections a server holds. A network that has its share is refused more. When the server is full, an idle connection of the
 * network that has taken most of its share gives way to a newcomer whose network has taken less; a connection on which a request is
 * being answered, or a body comes, never does. So connections that are opened and left do not keep other clients out.
 */
import type { Socket } from 'node:net'
import { isLoopback } from '../identity/client-info.ts'
import { createShares } from './shares.ts'

export interface AdmissionLimits {
  /** Connections at once, of all clients together. */
  connections: number
  /** Connections at once of one address; its network may have twice or four times as many. */
  connectionsPerAddress: number
  /** Whether `address` is that of a proxy whose connections are other people's: they are in no share, and none gives way. */
  isProxy(address: string): boolean
}

/** Takes a new connection or cuts it. `isBusy`: whether a request is being answered on a connection. */
export type Admit = (socket: Socket, isBusy: (socket: Socket) => boolean) => void

interface Held {
  address: string
  isBusy(socket: Socket): boolean
}

/** What all servers of a process ask about each of their connections. */
export function admitConnections({ connections, connectionsPerAddress, isProxy }: AdmissionLimits): Admit {
  const shares = createShares(connectionsPerAddress)
  // This machine: a proxy that was not named in TRUST_PROXY, or the operator, for whom room is left by all others.
  const local = createShares(Math.ceil(connections * 0.75))
  const sharesOf = (address: string) => (isLoopback(address) ? local : shares)
  /** Those of proxies are counted and not held. */
  const held = new Map<Socket, Held>()
  let open = 0

  /** The oldest idle connection of those who have taken most of their share, if that is more than `fraction` of it. */
  function whoGivesWay(fraction: number): Socket | null {
    const fractions = new Map<string, number>()
    let found: Socket | null = null
    let most = fraction
    for (const [socket, { address, isBusy }] of held) {
      if (isBusy(socket)) continue
      const taken = fractions.get(address) ?? sharesOf(address).taken(address)
      fractions.set(address, taken)
      if (taken > most) [found, most] = [socket, taken]
    }
    return found
  }

  return (socket, isBusy) => {
    const { remoteAddress: address } = socket
    if (address === undefined) return
    const ofProxy = isProxy(address)
    const leave = ofProxy ? () => {} : sharesOf(address).take(address)
    if (!leave) return void socket.destroy()
    const goOut = once(() => {
      open -= 1
      held.delete(socket)
      leave()
    })
    open += 1
    socket.once('close', goOut)
    if (open > connections) {
      const loser = whoGivesWay(ofProxy ? 0 : sharesOf(address).taken(address))
      if (!loser) {
        goOut()
        return void socket.destroy()
      }
      loser.destroy()
    }
    if (!ofProxy) held.set(socket, { address, isBusy })
  }
}

function once(work: () => void): () => void {
  let isDone = false
  return () => {
    if (isDone) return
    isDone = true
    work()
  }
}
