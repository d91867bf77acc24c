import { useEffect, useState, type FormEvent } from 'react'
import { createClient, type ChatMessage } from '@sluice/client'
import { useSluiceStream } from '@sluice/client/react'

// The gateway of this page's own origin. In development Vite passes /v1 on to it, with this in its configuration:
//   server: { proxy: { '/v1': 'http://localhost:8080' } }
// A gateway elsewhere is createClient({ baseUrl: 'https://gateway.example' }), and has to allow this page: CORS_ORIGIN.
const client = createClient()

/** What survives a reload: the turns that are complete, and the stream that answers the last one. */
interface Chat {
  turns: ChatMessage[]
  streamId?: string | undefined
}
const load = (): Chat => JSON.parse(sessionStorage.getItem('chat') ?? '{"turns":[]}')
const save = (chat: Chat) => sessionStorage.setItem('chat', JSON.stringify(chat))

export function ChatWindow() {
  const { message, status, error, id, send, stop, attach } = useSluiceStream(client)
  const [loaded] = useState(load)
  /** All but the answer that is in `message`. */
  const [turns, setTurns] = useState(loaded.turns)
  const isRunning = status === 'connecting' || status === 'streaming'
  const all: ChatMessage[] = message?.content ? [...turns, { ...message }] : turns

  useEffect(() => {
    if (loaded.streamId) attach(loaded.streamId)
  }, [loaded, attach])

  useEffect(() => {
    if (status === 'idle') return
    save(isRunning ? { turns, streamId: id } : { turns: message?.content ? [...turns, { ...message }] : turns })
  }, [turns, message, status, isRunning, id])

  const ask = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const content = new FormData(event.currentTarget).get('question')
    event.currentTarget.reset()
    if (typeof content !== 'string') return
    const messages: ChatMessage[] = [...all, { role: 'user', content }]
    setTurns(messages)
    send({ messages })
  }

  return (
    <main>
      {all.map(({ role, content }, index) => (
        <p key={index} className={role}>
          {typeof content === 'string' && content}
        </p>
      ))}
      {status === 'connecting' && <output>Connecting …</output>}
      {status === 'failed' && <p role="alert">{String(error)}</p>}
      <form onSubmit={ask}>
        <input name="question" required />
        {isRunning ? (
          <button type="button" onClick={stop}>
            Stop
          </button>
        ) : (
          <button type="submit">Send</button>
        )}
      </form>
    </main>
  )
}
