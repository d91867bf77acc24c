// What nodes say to each other, as short JSON: most messages carry tokens.

/**
 * - `follow`: the sender has a copy of a stream that runs there, with so many readers; repeated while nothing comes
 * - `pieces`: the next pieces of a stream that the receiver follows, each as JSON
 * - `cancel`, `forget`: a client stopped a stream that runs there, or deleted it
 */
export type Message =
  | { readonly type: 'follow'; readonly id: string; readonly from: string; readonly readers: number }
  | { readonly type: 'pieces'; readonly id: string; readonly pieces: readonly string[] }
  | { readonly type: 'cancel' | 'forget'; readonly id: string }

export function writeMessage(message: Message): string {
  switch (message.type) {
    case 'follow':
      return JSON.stringify(['f', message.id, message.from, message.readers])
    case 'pieces':
      return JSON.stringify(['p', message.id, ...message.pieces])
    case 'cancel':
      return JSON.stringify(['c', message.id])
    case 'forget':
      return JSON.stringify(['d', message.id])
  }
}

/** Undefined for a message of another version. */
export function readMessage(text: string): Message | undefined {
  const message: unknown = JSON.parse(text)
  if (!Array.isArray(message)) return undefined
  const [type, id, ...rest]: unknown[] = message
  if (typeof id !== 'string') return undefined
  switch (type) {
    case 'f':
      return { type: 'follow', id, from: String(rest[0]), readers: Number(rest[1]) }
    case 'p':
      return { type: 'pieces', id, pieces: rest.map(String) }
    case 'c':
      return { type: 'cancel', id }
    case 'd':
      return { type: 'forget', id }
    default:
      return undefined
  }
}
