// @ts-check
// How to run it: vanilla.html.
import { createClient } from '@sluice/client'

const client = createClient({ baseUrl: 'http://localhost:8080' })

const form = document.forms[0]
const answer = document.body.appendChild(document.createElement('pre'))

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  answer.textContent = ''
  const content = form.question.value
  const stream = client.chat({ messages: [{ role: 'user', content }] })
  form.addEventListener('reset', () => stream.cancel())
  try {
    for await (const delta of stream) if (delta.type === 'delta') answer.append(delta.content ?? '')
  } catch (error) {
    answer.append(String(error))
  }
})
