// @ts-check
/**
 * The back end of a web app: it has the key, its pages have none. They get the URL of a stream, which holds a ticket to
 * read this one stream.
 *
 *   SLUICE_KEYS=app:a-long-secret CORS_ORIGIN=http://localhost:3000 npm start
 *   SLUICE_KEY=a-long-secret node examples/tickets/server.js
 */
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'

const { SLUICE_URL = 'http://localhost:8080', SLUICE_KEY = '', PORT = '3000' } = process.env
const page = await readFile(new URL('index.html', import.meta.url))

/**
 * @param {string} question
 * @param {string} user
 */
async function startStream(question, user) {
  const created = await fetch(`${SLUICE_URL}/v1/chat`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${SLUICE_KEY}`,
      'content-type': 'application/json',
      prefer: 'respond-async',
      // Each user is an owner of their own: no other user can read, stop or use up what is theirs.
      'sluice-user': user,
    },
    body: JSON.stringify({ messages: [{ role: 'user', content: question }] }),
  })
  const { url, detail } = await created.json()
  return created.ok ? { url: new URL(url, SLUICE_URL).href } : { error: detail }
}

const server = createServer(async (request, response) => {
  if (request.method !== 'POST') {
    response.setHeader('content-type', 'text/html; charset=utf-8').end(page)
    return
  }
  // Yours: who is asking, by their session, and whether they may.
  const user = 'ann'
  const answer = await startStream(await text(request), user).catch((error) => ({ error: String(error) }))
  response.setHeader('content-type', 'application/json').end(JSON.stringify(answer))
})
server.listen(Number(PORT), '127.0.0.1', () => console.log(`http://localhost:${Object(server.address()).port}`))
