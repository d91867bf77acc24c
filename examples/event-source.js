// @ts-check
// How to run it: event-source.html.
const gateway = 'http://localhost:8080'
const form = document.forms[0]
const answer = document.body.appendChild(document.createElement('pre'))

form.addEventListener('submit', (event) => {
  event.preventDefault()
  answer.textContent = ''
  ask(form.question.value).catch((error) => answer.append(String(error)))
})

/** @param {string} content */
async function ask(content) {
  // An EventSource can only GET: the stream is started first, and has an address at once. Where that needs a key, a back
  // end does it: see tickets/.
  const created = await fetch(`${gateway}/v1/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'respond-async' },
    body: JSON.stringify({ messages: [{ role: 'user', content }] }),
  })
  const { url, detail } = await created.json()
  if (!created.ok) return answer.append(detail)

  // After a cut it comes back by itself, and names the last event it has seen.
  const source = new EventSource(new URL(url, gateway))
  source.addEventListener('delta', ({ data }) => answer.append(JSON.parse(data).content ?? ''))
  source.addEventListener('done', ({ data }) => {
    source.close()
    const { error } = JSON.parse(data)
    if (error) answer.append(`\n${error.message}`)
  })
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CLOSED) answer.append('\nThe stream is no longer there.')
  })
}
