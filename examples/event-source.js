// @ts-check
const form = document.forms[0]
const answer = document.body.appendChild(document.createElement('pre'))

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  answer.textContent = ''
  const content = form.question.value
  // An EventSource can only GET: the stream is started first, and has an address at once. Where that needs a key, a back
  // end does it: see tickets/.
  const created = await fetch('/v1/chat', {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'respond-async' },
    body: JSON.stringify({ messages: [{ role: 'user', content }] }),
  })
  if (!created.ok) return answer.append((await created.json()).detail)

  // After a cut it comes back by itself, and names the last event it has seen.
  const source = new EventSource(String(created.headers.get('location')))
  source.addEventListener('delta', ({ data }) => answer.append(JSON.parse(data).content ?? ''))
  source.addEventListener('done', ({ data }) => {
    source.close()
    const { error } = JSON.parse(data)
    if (error) answer.append(`\n${error.message}`)
  })
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CLOSED) answer.append('\nThe stream is no longer there.')
  })
})
