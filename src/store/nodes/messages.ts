// What nodes say to each other, as short JSON: most messages carry tokens.

import { isPiece, type Piece } from '../../stream/piece.ts'

/**
 * - `follow`: the sender has a copy of a stream that runs there, with so many readers; repeated while nothing comes
 * - `pieces`: the next pieces of a stream that the receiver follows; without any, they are to be read
 * - `cancel`, `forget`: a client stopped a stream that runs there, or deleted it
 */
export type Message =
  | { readonly type: 'follow'; readonly id: string; readonly from: string; readonly readers: number }
  | { readonly type: 'pieces'; readonly id: string; readonly pieces: readonly Piece[] }
  | { readonly type: 'cancel' | 'forget'; readonly id: string }

/** @param pieces as JSON, as they are stored */
export function writePieces(id: string, pieces: readonly string[]): string {
  return `["p",${[JSON.stringify(id), ...pieces].join()}]`
}

export function writeMessage(message: Exclude<Message, { type: 'pieces' }>): string {
  switch (message.type) {
    case 'follow':
      return JSON.stringify(['f', message.id, message.from, message.readers])
    case 'cancel':
      return JSON.stringify(['c', message.id])
    case 'forget':
      return JSON.stringify(['d', message.id])
  }
}

/** Undefined for a message that this version does not know. */
export function readMessage(text: string): Message | undefined {
  const message: unknown = JSON.parse(text)
  if (!Array.isArray(message)) return undefined
  const [type, id, ...rest]: unknown[] = message
  if (typeof id !== 'string') return undefined
  switch (type) {
    case 'f':
      return { type: 'follow', id, from: String(rest[0]), readers: Number(rest[1]) }
    case 'p':
      return { type: 'pieces', id, pieces: rest.filter(isPiece) }
    case 'c':
      return { type: 'cancel', id }
    case 'd':
      return { type: 'forget', id }
    default:
      return undefined
  }
}
