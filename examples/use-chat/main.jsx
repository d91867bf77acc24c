import { useChat } from '@ai-sdk/react'
import { DefaultChatTransport } from 'ai'
import { useEffect } from 'react'
import { createRoot } from 'react-dom/client'

// The page keeps its chat over reloads, and the gateway the answer that is on its way.
const id = (sessionStorage.id ??= crypto.randomUUID())
const messages = JSON.parse(sessionStorage.messages ?? '[]')
// Without `startIndex`, an answer that ended while the page was away is not sent again: most pages have it.
const query = messages.at(-1)?.role === 'user' ? '?startIndex=0' : ''
const transport = new DefaultChatTransport({
  api: '/v1/ui/chat',
  prepareReconnectToStreamRequest: ({ api }) => ({ api: `${api}/${id}/stream${query}` }),
})

function Chat() {
  const chat = useChat({ id, messages, transport, resume: true })
  const isBusy = chat.status === 'submitted' || chat.status === 'streaming'
  useEffect(() => {
    const asked = chat.messages.findLastIndex(({ role }) => role === 'user')
    // Half an answer is not kept: the gateway has all of it.
    const kept = chat.status === 'ready' ? chat.messages : chat.messages.slice(0, asked + 1)
    sessionStorage.messages = JSON.stringify(kept)
  }, [chat.status, chat.messages])
  // `chat.stop()` would only leave: the answer would go on for others, and for a while without any.
  const stop = () => fetch(`/v1/ui/chat/${id}/stop`, { method: 'POST' })
  return (
    <>
      {chat.messages.map((message) => (
        <p key={message.id} className={message.role}>
          {message.parts.map((part) => (part.type === 'text' ? part.text : ''))}
        </p>
      ))}
      {chat.error && <p role="alert">{chat.error.message}</p>}
      <form action={(form) => void chat.sendMessage({ text: form.get('question') })}>
        <input name="question" required />
        {isBusy ? (
          <button type="button" onClick={stop}>
            Stop
          </button>
        ) : (
          <button type="submit">Send</button>
        )}
      </form>
    </>
  )
}

createRoot(document.getElementById('chat')).render(<Chat />)
