/** `sluice/react`: a hook that reads one stream at a time. For React 18 and 19. */
import { useEffect, useMemo, useState, useSyncExternalStore } from 'react'
import type { ChatBody, ChatStream, Client } from '../client/index.ts'
import { StreamReader, type SendOptions, type StreamState } from './stream-reader.ts'

export type { SendOptions, StreamState, StreamStatus } from './stream-reader.ts'

export interface SluiceStream extends StreamState {
  /** Asks; a stream that is still being read is left. */
  readonly send: (body: ChatBody, options?: SendOptions) => ChatStream
  /** Joins a stream, such as the one of before a reload, and reads it from its beginning. */
  readonly attach: (id: string) => ChatStream
  /** Stops the stream for all readers. What has come so far stays. */
  readonly stop: () => Promise<void>
}

/**
 * The stream that this component reads. To unmount is to leave, not to stop: the stream runs on for other readers, and
 * can be joined again by its id.
 */
export function useSluiceStream(client: Client): SluiceStream {
  const [reader] = useState(() => new StreamReader())
  const state = useSyncExternalStore(reader.subscribe, reader.getState, reader.getState)
  useEffect(() => {
    reader.rejoin()
    return () => reader.leave()
  }, [reader])
  const actions = useMemo(
    () => ({
      send: (body: ChatBody, options?: SendOptions) => reader.send(client, body, options),
      attach: (id: string) => reader.attach(client, id),
      stop: () => reader.stop(),
    }),
    [reader, client],
  )
  return { ...state, ...actions }
}
