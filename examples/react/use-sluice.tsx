import type { ChatStream, Client, StreamOptions } from 'sluice/client'
import { useCallback, useEffect, useRef, useState } from 'react'

export type Turn = { role: 'user' | 'assistant'; content: string }

/** What the app keeps to survive a reload: the turns that are complete, and the stream that answers the last one. */
export interface Chat {
  messages: Turn[]
  streamId?: string | undefined
}

interface State extends Chat {
  /** What has come so far. */
  answer: string
  status: 'ready' | 'streaming' | 'failed'
  error?: unknown
}

/**
 * A conversation. `load` is asked when the component is mounted, `save` told whenever there is something new to keep;
 * both, and the client, must be the same ones on every render.
 *
 * To unmount is to leave, not to stop: the stream goes on for a while (`RESUME_WINDOW_MS`), to be joined again.
 */
export function useSluice(client: Client, load: () => Chat, save: (chat: Chat) => void) {
  const [state, setState] = useState<State>(() => ({ ...load(), answer: '', status: 'ready' }))
  const running = useRef<{ stream: ChatStream; leave: AbortController } | null>(null)

  const read = useCallback(async (open: (options: StreamOptions) => ChatStream) => {
    running.current?.leave.abort()
    const leave = new AbortController()
    const stream = open({ signal: leave.signal })
    running.current = { stream, leave }
    // Nothing is said any more by a stream that has been left.
    const update = (change: (state: State) => Partial<State>) => {
      if (!leave.signal.aborted) setState((latest) => ({ ...latest, ...change(latest) }))
    }
    update(() => ({ answer: '', status: 'streaming', error: undefined }))
    try {
      const streamId = await stream.id
      update(() => ({ streamId }))
      for await (const event of stream)
        if (event.type === 'delta') update(({ answer }) => ({ answer: answer + (event.content ?? '') }))
      update(({ messages, answer: content }) => ({
        messages: content ? [...messages, { role: 'assistant', content }] : messages,
        answer: '',
        streamId: undefined,
        status: 'ready',
      }))
    } catch (error) {
      update(() => ({ streamId: undefined, status: 'failed', error }))
    }
  }, [])

  // Once more from the beginning of the answer; it has all been kept by the gateway.
  useEffect(() => {
    const { streamId } = load()
    if (streamId) void read((options) => client.attach(streamId, options))
    return () => running.current?.leave.abort()
  }, [client, load, read])

  const { messages, streamId, answer, status, error } = state
  useEffect(() => save({ messages, streamId }), [save, messages, streamId])

  return {
    messages: answer ? [...messages, { role: 'assistant', content: answer } satisfies Turn] : messages,
    status,
    error,
    send: (content: string) => {
      const asked: Turn[] = [...messages, { role: 'user', content }]
      setState((latest) => ({ ...latest, messages: asked }))
      void read((options) => client.chat({ messages: asked }, options))
    },
    /** Ends the stream for everybody; what has come so far stays. */
    stop: () => void running.current?.stream.cancel(),
  }
}
