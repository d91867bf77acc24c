// @ts-check
/**
 * Where `fetch` cannot stream, as in React Native: asks for the answer so far, again and again. Asking counts as
 * reading, so the gateway goes on for as long as somebody asks.
 *
 *   node examples/poll.js "Why is the sky blue?"
 */
const gateway = process.env.SLUICE_URL ?? 'http://localhost:8080'
/** @type {Record<string, string>} */
const access = process.env.SLUICE_KEY ? { authorization: `Bearer ${process.env.SLUICE_KEY}` } : {}
const [, , content = 'Why is the sky blue?'] = process.argv

const { url } = await ask(`${gateway}/v1/chat`, {
  method: 'POST',
  // With the same idempotency key the request can be sent again when its answer was lost.
  headers: {
    ...access,
    'content-type': 'application/json',
    prefer: 'respond-async',
    'idempotency-key': crypto.randomUUID(),
  },
  body: JSON.stringify({ messages: [{ role: 'user', content }] }),
})
// The URL has a ticket for reading: the key is not needed any more.
const address = new URL(url, gateway)

for (let shown = ''; ;) {
  const { status, message, error } = await ask(address, { headers: { accept: 'application/json' } })
  const text = message.content ?? ''
  process.stdout.write(text.slice(shown.length))
  shown = text
  if (status !== 'running') {
    console.error(`\n${error?.message ?? status}`)
    break
  }
  await sleep(500)
}

/**
 * The JSON of an answer, asked for until there is one.
 * @param {string | URL} resource
 * @param {RequestInit} init
 */
async function ask(resource, init) {
  for (;;) {
    const response = await fetch(resource, init).catch(() => null)
    if (response?.ok) return response.json()
    if (response && response.status < 500 && response.status !== 429) throw new Error(await response.text())
    await sleep(1000 * (Number(response?.headers.get('retry-after')) || 1))
  }
}

/** @param {number} ms */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
