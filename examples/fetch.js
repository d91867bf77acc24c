// @ts-check
/**
 * Without the SDK: reads a stream to its `done`, over as many connections as that needs.
 *
 *   node examples/fetch.js "Why is the sky blue?"
 */
import { setTimeout as sleep } from 'node:timers/promises'

const gateway = process.env.SLUICE_URL ?? 'http://localhost:8080'
/** @type {Record<string, string>} */
const access = process.env.SLUICE_KEY ? { authorization: `Bearer ${process.env.SLUICE_KEY}` } : {}
const [, , content = 'Why is the sky blue?'] = process.argv

const create = {
  method: 'POST',
  // With the same idempotency key it can be sent again when its answer was lost, and joins the stream that it has started.
  headers: { ...access, 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() },
  body: JSON.stringify({ messages: [{ role: 'user', content }] }),
}
/** Where to come back to, once that is known. */
let address = ''
let lastEventId = ''
let done

while (!done) {
  const resume = { headers: { ...access, 'last-event-id': lastEventId } }
  const response = await (address ? fetch(address, resume) : fetch(`${gateway}/v1/chat`, create)).catch(() => null)
  if (response?.ok) {
    for await (const { id, event, data } of readFrames(response)) {
      address ||= new URL(response.headers.get('content-location') ?? '', response.url).href
      lastEventId = id
      if (event === 'delta') process.stdout.write(JSON.parse(data).content ?? '')
      if (event === 'done') done = JSON.parse(data)
    }
  } else if (response && response.status < 500 && response.status !== 429) {
    throw new Error(await response.text())
  }
  // The end of a connection without `done` is never the end of the stream.
  if (!done) await sleep(1000 * Number(response?.headers.get('retry-after') ?? 1))
}
console.error(`\n${done.error?.message ?? done.finish_reason}`)

/**
 * Whole frames, however the network cuts them, until the connection ends, in whatever way.
 * @param {Response} response
 * @returns {AsyncGenerator<Record<string, string>, void>}
 */
async function* readFrames({ body }) {
  if (!body) return
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  for (let rest = ''; ;) {
    const { done: ended, value } = await reader.read().catch(() => ({ done: true, value: '' }))
    if (ended) return
    const frames = (rest + value).split('\n\n')
    rest = frames.pop() ?? ''
    // A line may also be a heartbeat, or say how long to wait; both come without a blank line of their own.
    for (const frame of frames) yield Object.fromEntries(frame.split('\n').map(readField))
  }
}

/** @param {string} line */
function readField(line) {
  const colon = line.indexOf(': ')
  return [line.slice(0, colon), line.slice(colon + 2)]
}
