import { createClient } from 'sluice/client'
import { useSluice, type Chat } from './use-sluice.tsx'

const client = createClient()
const load = (): Chat => JSON.parse(sessionStorage.getItem('chat') ?? '{"messages":[]}')
const save = (chat: Chat) => sessionStorage.setItem('chat', JSON.stringify(chat))

export function ChatWindow() {
  const { messages, send, stop, status, error } = useSluice(client, load, save)
  const onSubmit = (form: FormData) => {
    const question = form.get('question')
    if (typeof question === 'string') send(question)
  }
  return (
    <main>
      {messages.map(({ role, content }, index) => (
        <p key={index} className={role}>
          {content}
        </p>
      ))}
      {status === 'failed' && <p role="alert">{String(error)}</p>}
      <form action={onSubmit}>
        <input name="question" required />
        {status === 'streaming' ? (
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
