// @ts-check
/**
 * Server-Sent Events in any Koa app, and a page that shows them.
 *
 *   npm install sluice koa
 *   node server.js
 */
import { readFile } from 'node:fs/promises'
import Koa from 'koa'
import { eventStream } from 'sluice/sse'
import { jobStatus } from './job-status.js'
import { news } from './news.js'
import { priceTracker } from './price-tracker.js'
import { randomMessages } from './random-messages.js'
import { temperature } from './temperature.js'

/** @type {Record<string, import('sluice/sse').SourceFunction>} */
const sources = {
  '/prices': priceTracker,
  '/messages': randomMessages,
  '/temperature': temperature,
  '/status': jobStatus,
  '/news': news,
}
const page = await readFile(new URL('index.html', import.meta.url), 'utf8')

const app = new Koa()
app.use(async (ctx) => {
  const source = sources[ctx.path]
  if (source) await eventStream(ctx, source)
  else if (ctx.path === '/') ctx.body = page
})
const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`http://localhost:${Object(server.address()).port}`)
})
