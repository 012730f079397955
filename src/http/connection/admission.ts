/*
 * Admission of connections. A network that has used up its share is refused more. When the server is full, it closes an idle connection of
 * the network that has used most of its share, in favor of a new connection whose network has used less. A connection on which a request
 * is being answered or a body is arriving is never closed. So a client cannot keep others out with connections that it opens and leaves.
 */
import type { Socket } from 'node:net'
import { isLoopback } from '../identity/client-info.ts'
import { createShares } from './shares.ts'

export interface AdmissionLimits {
  /** Maximum open connections of all clients together. */
  connections: number
  /** Maximum open connections of one address; the networks around it may have twice and four times as many. */
  connectionsPerAddress: number
  /** Whether `address` is a proxy, whose connections serve many clients: they count for no share and are never closed for others. */
  isProxy(address: string): boolean
}

/** Accepts a new connection or destroys it. `isBusy`: whether a request is being answered on a connection. */
export type Admit = (socket: Socket, isBusy: (socket: Socket) => boolean) => void

interface AdmittedConnection {
  address: string
  isBusy(socket: Socket): boolean
}

/** Creates the admission that all servers of a process share. */
export function admitConnections({ connections, connectionsPerAddress, isProxy }: AdmissionLimits): Admit {
  const shares = createShares(connectionsPerAddress)
  // Loopback clients are a proxy that TRUST_PROXY does not name, or the operator. They get three quarters of all connections, not more, so
  // that even such a proxy cannot take all.
  const local = createShares(Math.ceil(connections * 0.75))
  const sharesOf = (address: string) => (isLoopback(address) ? local : shares)
  /** Connections that may be closed for others. Those of proxies are only counted in `open`. */
  const admitted = new Map<Socket, AdmittedConnection>()
  let open = 0

  /** The oldest idle connection of the network that has used most of its share, if that is more than `fraction`. */
  function findEvictable(fraction: number): Socket | null {
    const fractions = new Map<string, number>()
    let found: Socket | null = null
    let most = fraction
    for (const [socket, { address, isBusy }] of admitted) {
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
    const releaseShare = ofProxy ? () => {} : sharesOf(address).take(address)
    if (!releaseShare) return void socket.destroy()
    const release = once(() => {
      open -= 1
      admitted.delete(socket)
      releaseShare()
    })
    open += 1
    socket.once('close', release)
    if (open > connections) {
      const evicted = findEvictable(ofProxy ? 0 : sharesOf(address).taken(address))
      if (!evicted) {
        release()
        return void socket.destroy()
      }
      evicted.destroy()
    }
    if (!ofProxy) admitted.set(socket, { address, isBusy })
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
