import Koa from 'koa'
import bodyParser from 'koa-bodyparser'
import { MARK } from '../request.ts'

const app = new Koa()
app.use(bodyParser())
// One token, and then nothing for ever.
app.use((context) => {
  context.respond = false
  context.res.writeHead(200, { 'content-type': 'text/event-stream' })
  context.res.write(`data: ${MARK}\n\n`)
})
app.listen(Number(process.argv[2]), '127.0.0.1')
