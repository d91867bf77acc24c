import { find } from './dom.ts'
import { listModels } from './gateway-info.ts'
import { KeyField } from './key-field.ts'
import { Notice } from './notice.ts'
import { Playground } from './playground.ts'
import { StatusFeed } from './status-feed.ts'
import { StatusView } from './status-view.ts'

const notice = new Notice(find('notice', HTMLElement))
const access = new KeyField({
  notice,
  onKey: () => {
    void connect()
    playground.retry()
  },
  onAccepted: () => playground.focus(),
})
const playground = new Playground({
  fetch: access.fetch,
  hasKey: () => access.hasKey,
  notice,
  onOwn: () => void connect(),
  onRefused: () => access.focus(),
})
const status = new StatusView()
const feed = new StatusFeed(access.fetch, (update) => status.show(update))

async function connect(): Promise<void> {
  feed.follow()
  playground.models = await listModels(access.fetch, location.href)
}

// The page is painted before it asks for anything; but where nothing is painted, it does not wait for ever.
await Promise.race([
  new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))),
  new Promise((resolve) => setTimeout(resolve, document.hidden ? 0 : 1000)),
])
playground.open(location.hash)
// On a phone, a keyboard would cover the page.
if (location.hash === '' && matchMedia('(pointer: fine)').matches) playground.focus()
if (!playground.isGuest) await connect()
