// What is known of a request from its first lines: its id, its protocol, and its client.

import { randomUUID } from 'node:crypto'
import { isIP, isIPv6 } from 'node:net'
import type { RequestContext } from '../context.ts'
import type { ProtocolTable } from '../../protocols/protocol.ts'

const SANE = /^[\w.:-]{1,128}$/

/** Uses the caller's `X-Request-Id` if it is safe to log, else generates one. Sets it on the response. */
export function setRequestId(context: RequestContext): void {
  const given = context.req.headers['x-request-id']
  const id = typeof given === 'string' && SANE.test(given) ? given : randomUUID()
  context.state.requestId = id
  context.set('X-Request-Id', id)
}

/**
 * Chooses the protocol that the request speaks, before anything can fail: its errors are rendered in it. A path without
 * `/v1` is completed here, so that nothing after this knows of it.
 */
export function useProtocol(context: RequestContext, protocols: ProtocolTable): void {
  const { state } = context
  const path = protocols.withVersion(context.path)
  if (path !== context.path) context.path = path
  state.protocol = protocols.at(context.path, context.headers)
  if (state.protocol.headers) context.set(state.protocol.headers(state.requestId))
}

/** `1.2.3.4:5678` and `[::1]:5678`, which some proxies write in X-Forwarded-For. */
const WITH_PORT = /^(?:\[([^\]]*)\]|(\d+\.\d+\.\d+\.\d+))(?::\d+)?$/

/** An IPv4 address on an IPv6 socket. */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

/** The address that identifies a client: for IPv6 its first 64 bits, since one customer gets a whole /64. */
export function clientAddress(ip: string): string {
  const address = plainAddress(ip)
  return isIPv6(address) ? prefix64(address) : address
}

/** The whole address, for the log; undefined for a text that is none, which a proxy may pass on. */
export function loggedAddress(ip: string): string | undefined {
  const address = plainAddress(ip)
  return isIP(address) === 0 ? undefined : address
}

function plainAddress(ip: string): string {
  if (!ip.includes(':')) return ip
  const [, v6, v4] = WITH_PORT.exec(ip) ?? []
  const address = v6 ?? v4 ?? ip
  const [, mapped] = MAPPED.exec(address) ?? []
  return mapped ?? address
}

function prefix64(ip: string): string {
  const [before = '', after] = ip.split('::')
  const head = before === '' ? [] : before.split(':')
  const tail = after === undefined || after === '' ? [] : after.split(':')
  const gap = after === undefined ? 0 : Math.max(0, 8 - head.length - tail.length)
  return [...head, ...Array.from({ length: gap }, () => '0'), ...tail].slice(0, 4).join(':')
}
